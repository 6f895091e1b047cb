#include <algorithm>
#include <functional>
#include <optional>

#include "larder/base/status.h"
#include "src/batch_call.h"
#include "src/channel.h"

namespace larder::transport::uds {
namespace {

constexpr int kTries = 4;  // of one READ that finds its lease lost every time

class UdsReader final : public object::ObjectReader {
 public:
  // `range`: what it was asked for, if not all.
  UdsReader(const Line& line, object::LeaseId lease, object::ObjectInfo info, std::shared_ptr<ReleaseGroup> group,
            const std::optional<object::ByteRange>& range)
      : keeper_(line.keeper), info_(std::move(info)), range_(range), leased_(lease.value != 0) {
    lease_.key = info_.id.key;
    lease_.epoch = info_.epoch;
    lease_.id = lease;
    lease_.group = std::move(group);
    if (leased_) lease_.session = line.session;
  }
  ~UdsReader() override {
    if (!leased_ || keeper_->InChild()) return;
    mapped_ = Mapped();  // first unmapped, then released
    keeper_->End(lease_);
  }

  const object::ObjectInfo& info() const override { return info_; }
  std::optional<base::ByteSpan> Bytes() const override {
    if (form_ == Form::kStream) return std::nullopt;
    return mapped_.bytes;
  }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) override;
  bool lapsed() override { return leased_ && (keeper_->InChild() || !keeper_->IsHeld(lease_)); }

  // Takes what follows the object in GET's answer, which came in `record`.
  absl::Status Fill(GetAnswer& answer, const Record& record, base::Deadline deadline);

 private:
  absl::Status FetchExtents(ExtentList& list, base::Deadline deadline);
  // Asks for the range anew, in `session`: its lease was lost.
  absl::Status Reopen(const std::shared_ptr<Session>& session, base::Deadline deadline);
  // One READ, where the bytes are now to be had; its answer.
  absl::StatusOr<Reply> Ask(uint64_t offset, uint32_t length, base::Deadline deadline);

  const std::shared_ptr<Keeper> keeper_;
  const object::ObjectInfo info_;
  const std::optional<object::ByteRange> range_;
  const bool leased_;
  Lease lease_;
  Form form_ = Form::kInline;
  uint32_t piece_ = kInlineLimit;  // of a READ
  Mapped mapped_;
};

// One GET_RANGE. It goes in a BATCH: an agent that does not know it says NOT_IN_BATCH, and the connection lives.
absl::Status AskForRange(Session& session, const std::string& key, const object::ByteRange& range, uint32_t flags,
                         base::Deadline deadline,
                         const std::function<void(base::ByteSpan payload, const Record& record)>& take) {
  std::optional<absl::Status> refused;
  BatchCall batch(session.link, Op::kGetRange, AnswerBy(deadline),
                  [&](size_t, uint32_t code, base::ByteSpan payload, const Record& record) {
                    refused = code != 0 ? TakeError(code, payload) : absl::OkStatus();
                    if (code == 0) take(payload, record);
                  });
  base::ByteWriter request;
  PutGetRange(request, {.get = {.flags = flags, .wait_ms = WaitMs(deadline), .key = key}, .range = range});
  batch.Add(0, request.bytes());
  const absl::Status ended = batch.Finish();
  return refused.value_or(ended);
}

bool IsOldAgent(const absl::Status& answer) { return base::Reason(answer) == "NOT_IN_BATCH"; }

absl::Status UdsReader::Reopen(const std::shared_ptr<Session>& session, base::Deadline deadline) {
  const std::string& key = info_.id.key;
  GetAnswer answer;
  absl::Status malformed;
  const auto take = [&](base::ByteSpan payload, const Record&) {
    base::ByteReader in(payload);
    answer = TakeGetAnswer(in);
    malformed = Finished(in, "GET's reply");
  };
  const absl::Status got = AskForRange(*session, key, *range_, kGetNoDescriptors, deadline, take);
  if (IsOldAgent(got)) {
    base::ByteWriter get;
    PutGet(get, {.flags = kGetNoDescriptors, .wait_ms = WaitMs(deadline), .key = key});
    LARDER_ASSIGN_OR_RETURN(const Reply reply, session->link.Call(Op::kGet, get.bytes(), AnswerBy(deadline)));
    take(reply.payload, {});
  } else if (!got.ok()) {
    return base::Annotate(got, fmt::format("'{}' (epoch {})", key, info_.epoch.value));
  }
  LARDER_RETURN_IF_ERROR(malformed);
  // Another agent's epochs are others; what was sealed is the same.
  const bool same = answer.info.size == info_.size && answer.info.digest == info_.digest;
  if (same && answer.lease.value != 0) {
    keeper_->Regained(lease_, session, answer.lease);
    return absl::OkStatus();
  }
  if (answer.lease.value != 0) session->Release(answer.lease);
  return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE",
                     "'{}' was read in epoch {}, epoch {} has taken its place: get it again", key, info_.epoch.value,
                     answer.info.epoch.value);
}

absl::StatusOr<Reply> UdsReader::Ask(uint64_t offset, uint32_t length, base::Deadline deadline) {
  for (int tries = 1;; ++tries) {
    LARDER_ASSIGN_OR_RETURN(Keeper::Grip grip, keeper_->GripOf(lease_, deadline));
    absl::StatusOr<Reply> reply;
    if (grip.lease.value == 0) {
      const absl::Status reopened = Reopen(grip.session, deadline);
      if (reopened.ok()) continue;
      reply = reopened;
    } else {
      base::ByteWriter request;
      PutRead(request, {.lease = grip.lease, .offset = offset, .length = length});
      reply = grip.session->link.Call(Op::kRead, request.bytes(), deadline);
    }
    const std::string reason = base::Reason(reply.status());
    const bool going = reason == "STOPPING";  // what it says is all that is to come
    if (reply.ok() || tries >= kTries || (reason != "CONNECTION_LOST" && reason != "LEASE_LOST" && !going))
      return reply;
    if (going) grip.session->link.Break();
    if (reason == "LEASE_LOST" && grip.lease.value != 0) keeper_->Lapsed(*grip.session, {grip.lease});
  }
}

absl::Status UdsReader::Read(uint64_t offset, base::MutableByteSpan out) {
  if (offset > info_.size || out.size() > info_.size - offset) {
    return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset,
                       out.size(), info_.size);
  }
  if (const auto bytes = Bytes()) {
    std::copy_n(bytes->begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return absl::OkStatus();
  }
  if (keeper_->InChild()) {
    return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST",
                       "'{}' was opened before a fork and is not mapped: get it again", info_.id.key);
  }
  const base::Deadline deadline = keeper_->CallDeadline();
  while (!out.empty()) {
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(out.size(), piece_));
    LARDER_ASSIGN_OR_RETURN(const Reply reply, Ask(offset, part, deadline));
    if (reply.payload.size() != part) return BadRecord("a READ of another length");
    std::copy(reply.payload.begin(), reply.payload.end(), out.begin());
    out = out.subspan(part);
    offset += part;
  }
  return absl::OkStatus();
}

absl::Status UdsReader::Fill(GetAnswer& answer, const Record& record, base::Deadline deadline) {
  form_ = answer.form;
  if (form_ == Form::kInline) {
    if (answer.bytes.size() != info_.size) return BadRecord("an inline object of another size");
    mapped_ = {.bytes = answer.bytes, .keep = record.memory};
    return absl::OkStatus();
  }
  if (form_ == Form::kStream) {
    piece_ = lease_.session->welcome.inline_limit;
    if (range_) lease_.kind = Lease::Kind::kRange;
    return keeper_->Hold(lease_);
  }
  LARDER_RETURN_IF_ERROR(FetchExtents(answer.shared, deadline));
  const std::vector<WireExtent>& extents = answer.shared.extents;
  absl::StatusOr<Mapped> mapped = keeper_->HoldMapped(lease_, extents);
  if (base::Reason(mapped.status()) == "NO_SEGMENT") {
    // The agent believes we have them: next time they come with their descriptors again.
    std::vector<uint32_t> ids;
    for (const WireExtent& extent : extents) ids.push_back(extent.segment);
    keeper_->DropSegments(*lease_.session, ids);
  }
  if (!mapped.ok()) return mapped.status();
  if (mapped->bytes.size() != info_.size) return BadRecord("extents of another size than the object");
  mapped_ = *std::move(mapped);
  return absl::OkStatus();
}

absl::Status UdsReader::FetchExtents(ExtentList& list, base::Deadline deadline) {
  const std::shared_ptr<Session> session = lease_.session;
  while (list.extents.size() < list.total) {
    base::ByteWriter request;
    PutExtentsRequest(request, {.lease = lease_.id, .from = static_cast<uint32_t>(list.extents.size())});
    LARDER_ASSIGN_OR_RETURN(const Reply reply,
                            session->link.Call(Op::kExtents, request.bytes(), AnswerBy(deadline), {}, true));
    base::ByteReader more(reply.payload);
    const std::vector<WireExtent> next = TakeExtentList(more).extents;
    LARDER_RETURN_IF_ERROR(Finished(more, "EXTENTS' reply"));
    if (next.empty()) return BadRecord("fewer extents than it said");
    list.extents.insert(list.extents.end(), next.begin(), next.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> TakeReader(const Line& line, base::ByteSpan payload,
                                                                 const Record& record, base::Deadline deadline,
                                                                 std::shared_ptr<ReleaseGroup> group,
                                                                 const std::optional<object::ByteRange>& range = {}) {
  base::ByteReader in(payload);
  GetAnswer answer = TakeGetAnswer(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "GET's reply"));
  if ((answer.lease.value == 0) != (answer.form == Form::kInline)) {
    return BadRecord("a GET that holds nothing, or too much");
  }
  answer.info.id.ns = line.session->welcome.ns;
  auto reader = std::make_unique<UdsReader>(line, answer.lease, std::move(answer.info), std::move(group), range);
  LARDER_RETURN_IF_ERROR(reader->Fill(answer, record, deadline));
  return reader;
}

}  // namespace

absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenReader(const Line& line, const std::string& key,
                                                                 base::Deadline deadline) {
  // Twice with shared memory (a segment may have been trimmed in between), then without.
  for (int attempt = 0;; ++attempt) {
    base::ByteWriter out;
    PutGet(out, {.flags = attempt < 2 ? 0 : kGetNoDescriptors, .wait_ms = WaitMs(deadline), .key = key});
    LARDER_ASSIGN_OR_RETURN(Reply reply, line.session->link.Call(Op::kGet, out.bytes(), AnswerBy(deadline), {}, true));
    const auto payload = std::make_shared<const std::vector<std::byte>>(std::move(reply.payload));
    const Record record{.memory = {payload, payload->data()}, .payload = *payload};
    auto reader = TakeReader(line, *payload, record, deadline, nullptr);
    if (base::Reason(reader.status()) != "NO_SEGMENT" || attempt == 2) return reader;
  }
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenRangeReader(const Line& line, const std::string& key,
                                                                      const object::ByteRange& range,
                                                                      base::Deadline deadline) {
  for (int attempt = 0;; ++attempt) {
    absl::StatusOr<std::unique_ptr<object::ObjectReader>> reader;
    const absl::Status got = AskForRange(*line.session, key, range, attempt < 2 ? 0 : kGetNoDescriptors, deadline,
                                         [&](base::ByteSpan payload, const Record& record) {
                                           reader = TakeReader(line, payload, record, deadline, nullptr, range);
                                         });
    if (IsOldAgent(got)) return OpenReader(line, key, deadline);
    if (!got.ok()) return got;
    if (base::Reason(reader.status()) != "NO_SEGMENT" || attempt == 2) return reader;
  }
}

std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> OpenReaders(const Line& line,
                                                                               std::span<const std::string> keys,
                                                                               base::Deadline deadline) {
  std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> readers(keys.size());
  std::vector<bool> answered(keys.size());
  const auto group = std::make_shared<ReleaseGroup>();
  BatchCall batch(line.session->link, Op::kGet, AnswerBy(deadline),
                  [&](size_t i, uint32_t code, base::ByteSpan payload, const Record& record) {
                    if (code != 0) {
                      readers[i] = TakeError(code, payload);
                    } else {
                      readers[i] = TakeReader(line, payload, record, deadline, group);
                    }
                    answered[i] = true;
                  });
  base::ByteWriter get;
  for (size_t i = 0; i < keys.size(); ++i) {
    get.Clear();
    PutGet(get, {.wait_ms = WaitMs(deadline), .key = keys[i]});
    batch.Add(i, get.bytes());
  }
  const absl::Status ended = batch.Finish();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!answered[i]) readers[i] = ended;
    if (base::Reason(readers[i].status()) == "NO_SEGMENT") readers[i] = OpenReader(line, keys[i], deadline);
  }
  return readers;
}

}  // namespace larder::transport::uds
