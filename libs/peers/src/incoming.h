#pragma once
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "src/single_peer_state.h"

namespace larder::peers {

// A copy of another node's object, from Receive to Seal, or parked. What it holds goes with it, but where the peer
// ends: then a backend that outlives the process has it at its next start.
struct SinglePeer::State::Incoming final : object::IncomingCopy {
  explicit Incoming(State& peer) : state(peer) {}
  Incoming(Incoming&&) = default;
  ~Incoming() override {
    if (blob != nullptr && state.Closing()) blob->Leave();
  }
  const std::vector<bool>& kept() const override { return parts; }
  void Park() override { state.ParkCopy(std::make_unique<Incoming>(std::move(*this))); }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override { return blob->At(offset, size); }
  absl::Status Keep(uint32_t number) override;
  absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const override {
    return blob->ReadKept(offset, out);
  }
  absl::StatusOr<ReadGrant> Lend(SessionId session, const object::ByteRun& bytes) override;
  void Seal(uint32_t crc32c, Done<absl::StatusOr<ObjectInfo>> done) override;
  // Not to be dropped while it lies there. Under the peer's lock.
  bool is_read() const { return holding->readers > 0; }

  State& state;
  ObjectInfo info;
  std::optional<base::MonotonicTime> ends;
  HoldingPtr holding;  // goes on to what it is sealed to
  std::unique_ptr<object::Blob> blob;
  std::shared_ptr<const object::BlobView> view;  // of the blob
  std::vector<bool> parts;                       // of an earlier time
  std::vector<bool> came;                        // those, and since; guarded by the peer's lock
  base::MonotonicTime parked_till;               // if it is
};

}  // namespace larder::peers
