#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "src/fetch_machine.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {

// What a simulated parent does wrong, once it has sent `after` bytes (of any frame) on a connection.
enum class Fault : uint8_t {
  kNone,
  kRefuse,     // it does not take connections
  kDie,        // closes, and takes no more connections
  kHangUp,     // closes, and takes the next one, on which it does the same
  kStall,      // says nothing any more
  kTrickle,    // sends a byte a second
  kLie,        // gives wrong bytes, with the right checksum of them
  kDamage,     // gives wrong bytes, with the checksum of the right ones
  kMalformed,  // sends something that is no frame
  kForget,     // does not have its pieces any more
  kDrip,       // sends pieces that it has sent before
};

struct SimulatedParent {
  std::string node;
  double rate = 100e6;  // bytes per second
  base::Duration latency = std::chrono::milliseconds(1);
  std::optional<PieceSet> held;  // none: all
  std::optional<PieceSet> arriving;
  std::optional<PieceSet> offered;  // it super-seeds, and offers these
  Fault fault = Fault::kNone;
  uint64_t after = 0;
  absl::Status refusal;  // of OPEN
};

// A fetch's machine among simulated parents, in simulated time. The same seed gives the same run.
class SimulatedSwarm {
 public:
  SimulatedSwarm(std::string bytes, uint32_t piece_length, uint64_t seed);

  // Before Begin, or while it runs.
  Parent Add(SimulatedParent parent);
  void Begin(FetchRequest request = {}, FetcherOptions options = {});
  void Want(PieceRun pieces) {
    machine_->Want(pieces, now_);
    Settle();
  }
  // Goes on until the fetch is over, or `time` has passed.
  void Run(base::Duration time = std::chrono::minutes(10));
  void At(base::Duration time, std::function<void()> event) { Schedule(begin_ + time, std::move(event)); }
  // A piece that was arriving at the parent is held there.
  void Hold(const std::string& node, uint32_t piece);

  const std::optional<FetchResult>& result() const { return machine_->result(); }
  base::Duration now() const { return now_ - begin_; }
  FetchMachine& machine() { return *machine_; }
  RateLimiter& limiter() { return limiter_; }  // of what the child reads
  base::MonotonicTime time() const { return now_; }
  TestDestination& destination() { return *destination_; }
  const std::string& bytes() const { return bytes_; }
  uint64_t Value(std::string_view metric);
  // What happened, in order.
  struct Asked {
    std::string node;
    GetFrame get;
    base::Duration at;
  };
  std::vector<Asked> asked;
  std::vector<std::pair<std::string, base::Duration>> dials;
  std::map<std::string, OpenFrame> opens;  // the last, by node
  std::vector<std::pair<std::string, uint32_t>> cancels;
  std::vector<ParentFailure> failures;
  std::map<std::string, uint64_t> sent;  // bytes of pieces, by node

 private:
  // A PIECE on its way.
  struct Data {
    PieceFrame frame;
    std::string bytes;
    uint32_t crc = 0;
  };
  struct Connection {
    std::string node;
    FetchMachine::ParentId parent = 0;
    std::deque<GetFrame> requests;
    uint64_t sent = 0;
    bool sending = false;
    bool spoiled = false;  // it does what its fault is
    std::deque<Data> unread;
    bool paused = false;  // by the child's limit
    Data last;            // that was sent
  };
  // Of what happens at the same time, connections come in a random order, and what is of one in its own.
  struct Event {
    base::MonotonicTime at;
    uint64_t tie;
    uint64_t number;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return std::tie(other.at, other.tie, other.number) < std::tie(at, tie, number);
    }
  };
  void Schedule(base::MonotonicTime at, std::function<void()> run, uint64_t connection = 0);
  void Settle();
  void Do(const FetchMachine::Action& action);
  void Dial(const FetchMachine::Action& action);
  void Receive(uint64_t connection, const std::string& frames);
  void Open(uint64_t connection);
  void SendControl(uint64_t connection, const std::string& frames);
  void SendNext(uint64_t connection);
  void Drip(uint64_t connection);
  void SendChunk(uint64_t connection, uint32_t request, uint32_t size);
  void Deliver(uint64_t connection, Data data);
  void ReadAll(uint64_t connection);
  void ReadOne(uint64_t connection, const Data& data);
  void HangUp(uint64_t connection);
  // Does what the parent's fault is, when it is time; false: it says nothing now.
  bool Spoil(uint64_t connection);
  SimulatedParent& ParentOf(uint64_t connection) { return parents_.at(connections_.at(connection).node); }

  const std::string bytes_;
  const Manifest manifest_;
  std::mt19937_64 random_;
  const base::MonotonicTime begin_{std::chrono::hours(1)};
  base::MonotonicTime now_ = begin_;
  base::Deadline woken_ = base::kNoDeadline;
  std::priority_queue<Event> events_;
  std::map<std::string, SimulatedParent> parents_;
  std::map<uint64_t, Connection> connections_;
  std::map<FetchMachine::ParentId, uint64_t> connected_;
  uint64_t next_connection_ = 1;
  uint64_t next_event_ = 0;
  observe::Registry registry_;
  Metrics metrics_{registry_};
  RateLimiter limiter_;
  std::shared_ptr<TestDestination> destination_ = std::make_shared<TestDestination>();
  std::unique_ptr<FetchMachine> machine_;
};

}  // namespace larder::swarm
