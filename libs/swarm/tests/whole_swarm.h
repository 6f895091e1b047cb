#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "src/fetch_machine.h"
#include "src/super_seeding.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {

// An author, and children that fetch its object from it and from each other, in simulated time. Each node gives
// `rate` bytes a second in all, to those who ask in turn. The same seed gives the same run.
class WholeSwarm {
 public:
  struct Options {
    int children = 3;
    uint32_t pieces = 64;
    uint64_t seed = 1;
    double rate = 64e6;
    base::Duration latency = std::chrono::microseconds(300);
    base::Duration apart = std::chrono::milliseconds(10);  // children begin within this, and meet this later at most
    bool acquainted = true;                                // they meet at all
    bool seeding = true;
    base::Duration last_joins{};  // so much later than the others
  };
  explicit WholeSwarm(const Options& options);
  ~WholeSwarm();
  void At(base::Duration time, std::function<void()> event) { Schedule(begin_ + time, std::move(event)); }
  void Run(base::Duration most = std::chrono::minutes(30));
  // It is gone, and who is connected with it knows.
  void Kill(int child);
  // It does nothing any more, nor takes what it asked for.
  void Stop(int child) { nodes_[child].stopped = true; }
  bool done(int child) const { return nodes_[child].done.has_value(); }
  base::Duration took() const;  // until the last had it
  // By the author, as a multiple of the object's size.
  double sent() const { return static_cast<double>(nodes_[0].sent) / static_cast<double>(manifest_->size); }
  double bound() const;  // T*, in seconds
  uint32_t held(int child) const;

 private:
  struct Event {
    base::MonotonicTime at;
    uint64_t number;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::tie(other.at, other.number) < std::tie(at, number); }
  };
  struct SharedDestination;
  // A child's connection to a parent.
  struct Link {
    int parent = 0;
    int child = 0;
    FetchMachine::ParentId id = 0;
    bool open = false;
    bool seeded = false;  // by the author
    PieceSet told_held, told_arriving;
    std::deque<GetFrame> requests;
    base::MonotonicTime arrives;  // what was sent last: in order
  };
  struct Node {
    std::unique_ptr<FetchMachine> machine;
    std::shared_ptr<SharedDestination> destination;
    std::map<FetchMachine::ParentId, uint64_t> links;  // to its parents
    std::map<uint64_t, bool> served;                   // links to its children
    std::deque<uint64_t> turns;                        // those that may have something to be sent
    bool busy = false;
    bool dead = false;
    bool stopped = false;
    uint64_t sent = 0;
    std::optional<base::Duration> done;
    base::Deadline woken = base::kNoDeadline;
  };
  static std::string NameOf(int node) { return "n" + std::to_string(node); }
  Parent ParentOf(int node) const;
  void Schedule(base::MonotonicTime at, std::function<void()> run);
  void Begin(int child);
  void Settle(int child);
  void Do(int child, const FetchMachine::Action& action);
  void Dial(int child, const FetchMachine::Action& action);
  void Close(uint64_t link);
  void Receive(uint64_t link, const std::string& frames);
  void Open(uint64_t link, bool piecemeal);
  void Say(uint64_t link, const std::string& frames);
  void TellPieces(uint64_t link);
  void TellAll(int node);
  void Turn(int node);
  // A chunk of what it asks for next; false if there is nothing.
  bool SendNext(uint64_t link);
  void Sent(uint64_t link, uint32_t request, uint32_t size);
  void Deliver(uint64_t link, const PieceFrame& frame, uint32_t size);
  void Seed();
  void Tick();

  const Options options_;
  std::shared_ptr<const Manifest> manifest_;
  std::mt19937_64 random_;
  const base::MonotonicTime begin_{std::chrono::hours(1)};
  base::MonotonicTime now_ = begin_;
  std::priority_queue<Event> events_;
  uint64_t next_event_ = 0;
  std::vector<Node> nodes_;
  std::map<uint64_t, Link> links_;
  uint64_t next_link_ = 1;
  SuperSeeding seeding_;
  uint32_t chunk_crc_ = 0;
  observe::Registry registry_;
  Metrics metrics_{registry_};
};

}  // namespace larder::swarm
