#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "larder/raft/node.h"

namespace larder::raft {

// Reads on their way: not asked yet up to which index they must wait, asked, answered. A question that is not answered
// is asked again beside the old one, under the next number: whichever answer comes first counts, for all reads that
// were there when it was asked. Not thread-safe; calls nobody back.
class ReadQueue {
 public:
  explicit ReadQueue(uint64_t ask_again_ticks) : ask_again_ticks_(ask_again_ticks) {}

  void Add(uint64_t give_up, Node::ReadDone done) { fresh_.push_back({.give_up = give_up, .done = std::move(done)}); }
  bool empty() const { return fresh_.empty() && asked_.empty() && answered_.empty(); }
  // Whether there is something to ask, at this tick.
  bool Due(uint64_t tick) const;
  // The number of the question that is asked now.
  uint64_t Ask(uint64_t tick);
  // Who was asked may not answer any more.
  void AskAgain() { again_ = true; }
  // The question of this number was answered; later ones may yet be, for nobody.
  void Answered(uint64_t question, uint64_t index);
  // Those that may be done when `applied` is applied.
  std::vector<Node::ReadDone> TakeReady(uint64_t applied);
  // Those whose time is over.
  std::vector<Node::ReadDone> TakeLate(uint64_t tick);

 private:
  struct Reading {
    uint64_t give_up = 0;
    uint64_t question = 0;  // the first that was asked for it
    Node::ReadDone done;
  };

  const uint64_t ask_again_ticks_;
  std::deque<Reading> fresh_;
  std::deque<Reading> asked_;
  std::multimap<uint64_t, Reading> answered_;  // by the index they wait for
  uint64_t questions_ = 0;
  uint64_t asked_at_ = 0;  // the last
  bool again_ = false;
};

}  // namespace larder::raft
