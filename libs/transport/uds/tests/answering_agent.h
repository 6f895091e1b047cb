#pragma once
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/unique_fd.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

// An agent that answers as a test says: one connection after the other, on a thread of its own, until it is destroyed.
class AnsweringAgent {
 public:
  struct Answer {
    std::vector<std::byte> payload;
    std::vector<base::UniqueFd> fds;
    uint32_t code = 0;
  };
  // Called on the agent's thread, for requests that want no answer too.
  using Script = std::function<Answer(const Header& header, base::ByteSpan record)>;

  AnsweringAgent(const std::string& directory, Script script)
      : script_(std::move(script)),
        socket_(*ListenAt(directory + "/" + std::string(kSocketName), 0600)),
        stop_(::eventfd(0, EFD_CLOEXEC)),
        thread_([this] { Serve(); }) {}
  ~AnsweringAgent() {
    const uint64_t one = 1;
    EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
  }

  static std::vector<std::byte> Bytes(const base::ByteWriter& out) { return {out.bytes().begin(), out.bytes().end()}; }
  // What HELLO is answered with.
  static base::ByteWriter Welcome() {
    base::ByteWriter out;
    const std::array<std::byte, 16> token{};
    return out.U64(1).Raw(token).U32(30'000).U32(kInlineLimit).U32(kPieceLimit).Str("ns").Str("node").Str("1.2.3");
  }

 private:
  // False when it is time to go.
  bool Wait(int fd) const {
    std::array<pollfd, 2> watched = {{{.fd = fd, .events = POLLIN}, {.fd = stop_.get(), .events = POLLIN}}};
    ::poll(watched.data(), watched.size(), -1);
    return watched[1].revents == 0;
  }

  void Serve() {
    while (Wait(socket_.get())) {
      const base::UniqueFd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      while (client && Wait(client.get()) && AnswerOne(client.get())) {
      }
    }
  }

  bool AnswerOne(int client) {
    std::vector<std::byte> buffer(kMaxRecord);
    const auto received = ReceiveRecord(client, buffer, true);
    if (!received.ok()) return false;
    const base::ByteSpan record = base::ByteSpan(buffer).first(received->size);
    const auto header = DecodeHeader(record);
    EXPECT_TRUE(header.ok()) << header.status();
    const Answer answer = script_(*header, record);
    if (header->request_id == 0) return true;
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = header->op,
                  .request_id = header->request_id,
                  .length = static_cast<uint32_t>(answer.payload.size()),
                  .code = answer.code},
                 head.data());
    std::vector<int> fds;
    for (const base::UniqueFd& fd : answer.fds) fds.push_back(fd.get());
    const std::array<base::ByteSpan, 2> parts{head, answer.payload};
    return SendRecord(client, parts, fds, true).ok();
  }

  const Script script_;
  const base::UniqueFd socket_;
  const base::UniqueFd stop_;
  std::thread thread_;
};

}  // namespace larder::transport::uds
