#pragma once
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "larder/base/unique_fd.h"
#include "larder/swarm/piece_server.h"
#include "src/frames.h"
#include "src/super_seeders.h"

namespace larder::swarm {

// What all connections of a server share. Thread-safe.
struct ServerState {
  ServerState(const PieceServerOptions& server_options, const PieceServer::Parts& server_parts)
      : options(server_options), parts(server_parts), super_seeders(server_options.seed_patience) {}
  const PieceServerOptions options;
  const PieceServer::Parts parts;
  std::atomic<uint64_t> node_epoch = 0;
  std::atomic<size_t> pending = 0;
  std::atomic<size_t> connections = 0;
  std::atomic<size_t> waiting = 0;
  std::atomic<uint64_t> sent = 0;
  std::atomic<uint64_t> malformed = 0;
  std::atomic<uint64_t> bad_tickets = 0;
  SuperSeeders super_seeders;
};

// A child's connection, at its parent: reads small frames, and sends what was asked for, one request after the other.
// One thread. An error ends the connection: CANCELLED when the child closed it.
class ParentConnection {
 public:
  // It was counted as pending, until it shows a ticket or ends. `pieces_changed` is called on any thread once an
  // arriving object has changed.
  ParentConnection(base::UniqueFd fd, ServerState& state, std::function<void()> pieces_changed);
  ~ParentConnection();
  ParentConnection(const ParentConnection&) = delete;
  ParentConnection& operator=(const ParentConnection&) = delete;

  int fd() const { return fd_.get(); }
  absl::Status Read();
  // Sends what can be sent now, up to a share that leaves others their turn.
  absl::Status Send();
  // Tells the child what has changed; then as Send.
  absl::Status TellPieces();
  // A few times a second.
  absl::Status CheckTimeouts() const;
  // Waits for the socket to take more; and when the rate limit does.
  bool sending() const { return sending_; }
  base::Deadline try_again() const { return try_again_; }
  // Says why, where that is possible, before the end.
  void SendError(const absl::Status& why);

 private:
  struct Request {
    uint32_t number = 0;
    uint32_t piece = 0;   // that is next
    uint32_t pieces = 0;  // that are left
    uint32_t offset = 0;  // in it
  };
  // A PIECE on its way.
  struct Chunk {
    std::array<std::byte, kPieceHeaderSize> header{};
    size_t header_sent = kPieceHeaderSize;
    PieceBytes::Stretch data;      // what is left of it
    std::optional<uint32_t> ends;  // this piece
  };
  enum class Sent : uint8_t { kAll, kBlocked };

  // All that are whole in what was read.
  absl::Status HandleFrames();
  // What was sent by a child that has closed the connection.
  void HearLast();
  absl::Status Handle(const ControlFrame& frame);
  absl::Status HandleHello(base::ByteSpan payload);
  absl::Status HandleOpen(const ControlFrame& frame);
  absl::Status HandleGet(base::ByteSpan payload);
  absl::Status HandleCancel(base::ByteSpan payload);
  absl::Status HandleDoubt(base::ByteSpan payload);
  absl::Status SendShare();
  void CountWaiting(size_t requests);
  // Makes the next chunk ready, or an ERROR; false if there is nothing to send now.
  bool PrepareNext();
  void PrepareChunk(Request& request, const PieceBytes::Stretch& stretch);
  absl::StatusOr<Sent> SendControl();
  absl::StatusOr<Sent> SendChunk();
  absl::StatusOr<Sent> SendFile();
  void EndRequest(const Request& request, std::string_view reason, std::string_view what);
  void QueuePieces();
  PieceMap::State StateOf(uint32_t piece) const;
  bool chunk_left() const { return chunk_.header_sent < kPieceHeaderSize || chunk_.data.size > 0; }
  void StopPending();

  const base::UniqueFd fd_;
  ServerState& state_;
  const std::function<void()> pieces_changed_;
  bool pending_ = true;
  const base::MonotonicTime accepted_;
  base::MonotonicTime heard_;  // when bytes last came
  base::MonotonicTime sent_;   // and went
  std::array<std::byte, kHeaderSize + kMaxControl> in_{};
  size_t in_size_ = 0;
  TransferClass class_ = TransferClass::kForeground;
  std::optional<PieceTicket> ticket_;
  NodeEpoch node_epoch_;
  std::optional<ServedObject> object_;
  std::shared_ptr<void> listening_;
  std::unique_ptr<SuperSeeders::Seat> seat_;  // null: the child is told of all that is here
  PieceSet told_held_;
  PieceSet told_arriving_;
  std::deque<Request> requests_;
  size_t counted_ = 0;   // of them, in state_
  std::string control_;  // frames to be sent before the next chunk
  size_t control_sent_ = 0;
  Chunk chunk_;
  bool sending_ = false;
  base::Deadline try_again_ = base::kNoDeadline;
};

}  // namespace larder::swarm
