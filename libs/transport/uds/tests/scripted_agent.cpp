#include "tests/scripted_agent.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "larder/base/status.h"

namespace larder::transport::uds {
namespace {

constexpr int kPatienceMs = 10'000;

void Need(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("the scripted agent: " + what);
}

void AwaitReadable(int fd, const std::string& what) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  Need(::poll(&waiting, 1, kPatienceMs) == 1, "did not come: " + what);
}

}  // namespace

// ---- one connection

ScriptedRequest AgentEnd::Receive() {
  AwaitReadable(fd_.get(), "a request");
  std::vector<std::byte> buffer(kMaxRecord);
  const auto received = ReceiveRecord(fd_.get(), buffer, true);
  Need(received.ok(), "the client has hung up");
  const auto header = DecodeHeader(base::ByteSpan(buffer).first(received->size));
  Need(header.ok(), "a malformed record");
  return {.header = *header, .payload = {buffer.begin() + kHeaderSize, buffer.begin() + received->size}};
}

ScriptedRequest AgentEnd::Next(std::initializer_list<Op> expected) {
  while (true) {
    ScriptedRequest request = Receive();
    if (std::ranges::find(expected, request.header.op) != expected.end()) return request;
    Need(request.header.op == Op::kRenew,
         fmt::format("operation {} was not expected", static_cast<int>(request.header.op)));
    Reply(request, base::ByteWriter().U16(0));
  }
}

ScriptedRequest AgentEnd::Expect(Op op) { return Next({op}); }

std::pair<ScriptedRequest, ScriptedRequest> AgentEnd::Expect(Op one, Op other) {
  ScriptedRequest first = Next({one, other});
  ScriptedRequest second = Next({first.header.op == one ? other : one});
  if (first.header.op != one) std::swap(first, second);
  return {std::move(first), std::move(second)};
}

std::vector<Item> AgentEnd::ExpectBatch(ScriptedRequest& batch) {
  batch = Expect(Op::kBatch);
  base::ByteReader in = batch.in();
  std::vector<Item> items;
  for (const BatchItem& item : TakeBatch(in)) {
    items.push_back({.number = static_cast<uint16_t>(items.size()),
                     .op = item.op,
                     .payload = {item.payload.begin(), item.payload.end()}});
  }
  Need(in.done(), "a malformed BATCH");
  return items;
}

void AgentEnd::Send(const Header& header, base::ByteSpan payload, const std::vector<int>& fds) {
  Header full = header;
  full.length = static_cast<uint32_t>(payload.size());
  std::array<std::byte, kHeaderSize> head;
  EncodeHeader(full, head.data());
  const std::array<base::ByteSpan, 2> parts{head, payload};
  Need(SendRecord(fd_.get(), parts, fds, true).ok(), "the client has hung up");
}

void AgentEnd::Reply(const ScriptedRequest& request, const base::ByteWriter& payload, const std::vector<int>& fds) {
  Send({.op = request.header.op, .request_id = request.header.request_id}, payload.bytes(), fds);
}

void AgentEnd::Refuse(const ScriptedRequest& request, absl::StatusCode code, std::string_view reason) {
  Send({.op = request.header.op, .request_id = request.header.request_id, .code = static_cast<uint32_t>(code)},
       ErrorText(reason).bytes(), {});
}

void AgentEnd::Answers(const ScriptedRequest& batch, const std::vector<Answer>& answers, const std::vector<int>& fds) {
  base::ByteWriter out;
  out.U16(static_cast<uint16_t>(answers.size()));
  for (const Answer& answer : answers) {
    PutBatchAnswer(out, {.item = answer.item, .code = answer.code, .payload = answer.payload.bytes()});
  }
  Reply(batch, out, fds);
}

void AgentEnd::Tell(Op op, const base::ByteWriter& payload) { Send({.op = op}, payload.bytes(), {}); }

bool AgentEnd::HearsNothing(base::Duration wait) {
  pollfd readable{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&readable, 1, static_cast<int>(wait / std::chrono::milliseconds(1))) == 0;
}
void AgentEnd::WaitUntilRead() {
  // The second is asked for once the answer to the first has been read.
  for (int i = 0; i < 2; ++i) Reply(Expect(Op::kRenew), base::ByteWriter().U16(0));
}

void AgentEnd::Greet(const ScriptedRequest& hello, base::Duration lease_ttl) {
  base::ByteWriter out;
  out.U64(1).Raw(std::vector<std::byte>(16));
  out.U32(static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(lease_ttl).count()));
  out.U32(kInlineLimit).U32(kPieceLimit).Str("default").Str("node-0").Str("scripted");
  Reply(hello, out);
}

// ---- the socket

ScriptedAgent::ScriptedAgent(const std::string& directory) : path_(directory + "/" + std::string(kSocketName)) {
  auto listening = ListenAt(path_, 0600);
  Need(listening.ok(), "cannot listen");
  listener_ = *std::move(listening);
}

AgentEnd ScriptedAgent::Meet(ScriptedRequest& hello) {
  AwaitReadable(listener_.get(), "a client");
  AgentEnd end(base::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  hello = end.Expect(Op::kHello);
  base::ByteReader in = hello.in();
  in.Str();
  end.earlier_bytes = in.U64();
  return end;
}

AgentEnd ScriptedAgent::Accept(base::Duration lease_ttl) {
  ScriptedRequest hello;
  AgentEnd end = Meet(hello);
  end.Greet(hello, lease_ttl);
  return end;
}

void ScriptedAgent::Stop() {
  ::unlink(path_.c_str());
  listener_.Reset();
}

// ---- payloads

object::ObjectInfo Sealed(const std::string& key, uint64_t epoch, uint64_t size) {
  object::ObjectInfo info;
  info.id.key = key;
  info.state = object::ObjectState::kSealed;
  info.epoch.value = epoch;
  info.size = size;
  return info;
}

base::ByteWriter InlineObject(const std::string& key, uint64_t epoch, std::string_view bytes) {
  base::ByteWriter out;
  out.U64(0);
  PutObject(out, Sealed(key, epoch, bytes.size()));
  out.U8(static_cast<uint8_t>(Form::kInline)).Raw(base::AsBytes(bytes));
  return out;
}

base::ByteWriter StreamObject(uint64_t lease, const std::string& key, uint64_t epoch, uint64_t size) {
  base::ByteWriter out;
  out.U64(lease);
  PutObject(out, Sealed(key, epoch, size));
  out.U8(static_cast<uint8_t>(Form::kStream));
  return out;
}

base::ByteWriter SharedObject(uint64_t lease, const std::string& key, uint64_t epoch,
                              const std::vector<WireExtent>& extents) {
  const uint64_t size = std::accumulate(extents.begin(), extents.end(), uint64_t{0},
                                        [](uint64_t sum, const WireExtent& e) { return sum + e.length; });
  base::ByteWriter out;
  out.U64(lease);
  PutObject(out, Sealed(key, epoch, size));
  out.U8(static_cast<uint8_t>(Form::kShared)).U32(static_cast<uint32_t>(extents.size()));
  PutExtents(out, extents);
  return out;
}

base::ByteWriter ErrorText(std::string_view reason) {
  base::ByteWriter out;
  out.Str(reason).Str("as the script says");
  return out;
}

}  // namespace larder::transport::uds
