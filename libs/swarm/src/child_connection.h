#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"
#include "src/fetch_machine.h"

namespace larder::swarm {

// What the connections of a loop share.
struct ChildParts {
  RateLimiter& limiter;
  Metrics& metrics;
  const base::Clock& clock;
};

// A connection to a parent, at its child: has the kernel put pieces where they belong, hashes what came while it is in
// the cache, and tells the fetch's machine. One thread.
class ChildConnection {
 public:
  ChildConnection(base::UniqueFd fd, std::string address, TransferClass transfer_class, FetchMachine& machine,
                  FetchMachine::ParentId id, ChildParts parts)
      : fd_(std::move(fd)),
        address_(std::move(address)),
        class_(transfer_class),
        machine_(machine),
        id_(id),
        parts_(parts) {}

  int fd() const { return fd_.get(); }
  void Queue(std::string_view bytes) { out_ += bytes; }
  // All three tell the machine when the connection has ended.
  void OnReady(bool input, bool output);
  // Goes on reading once the rate limit allows it.
  void Resume();
  void Send();
  // Tells the machine of the part of a frame's data that has come.
  void TellPart();

  bool wants_input() const { return connected_ && paused_until_ == base::kNoDeadline; }
  bool wants_output() const { return !connected_ || !out_.empty(); }
  base::Deadline paused_until() const { return paused_until_; }

 private:
  // A PIECE whose data come.
  struct Chunk {
    PieceFrame frame;   // of the next byte
    uint32_t size = 0;  // that are left
    uint32_t part = 0;  // that came and were not told
    uint32_t crc = 0;   // of these
    std::optional<uint32_t> expected;
  };
  enum class Got : uint8_t { kSome, kNothing, kEnded };

  void Read();
  Got ReadData();
  Got ReadFrame();
  Got Take(ssize_t size);  // what a call of the kernel has brought
  void DataCame(base::MutableByteSpan room, uint32_t size);
  // A whole frame, or the head of a PIECE; false if there is none, or no more after it.
  bool NextFrame();
  size_t MissingOfFrame() const;
  void End(const absl::Status& why);
  void Malformed(const absl::Status& why);

  const base::UniqueFd fd_;
  const std::string address_;
  const TransferClass class_;
  FetchMachine& machine_;
  const FetchMachine::ParentId id_;
  const ChildParts parts_;
  bool connected_ = false;
  bool ended_ = false;
  std::string out_;
  std::vector<std::byte> in_;  // of frames that are not whole
  std::optional<Chunk> chunk_;
  base::Deadline paused_until_ = base::kNoDeadline;
};

}  // namespace larder::swarm
