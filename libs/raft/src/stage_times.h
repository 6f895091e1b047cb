#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "larder/base/clock.h"
#include "larder/raft/node.h"
#include "src/replica.h"

namespace larder::raft {

// Where the time goes, for on_stage and on_slow. Of the loop thread, but for Took.
class StageTimes {
 public:
  // How entries that are applied together came so far.
  struct Batch {
    base::MonotonicTime committed;         // the first of them
    std::optional<base::Duration> append;  // the longest; none: a quorum had them before this disk
    base::MonotonicTime applied;
  };

  // Borrows `options`.
  explicit StageTimes(const NodeOptions& options) : options_(options) {}

  static base::MonotonicTime Now() { return std::chrono::steady_clock::now(); }
  void Took(Stage stage, base::MonotonicTime begun) const {
    if (options_.on_stage) options_.on_stage(stage, Now() - begun);
  }

  // The loop takes a proposal that came at `asked`. Call the `done` that it returns instead of the given one.
  Node::ProposeDone Take(base::MonotonicTime asked, Node::ProposeDone done);
  void OnWrite(const LogJob& job);
  // Everything up to that job is on this disk.
  void OnWritten(uint64_t job);
  // Everything up to `index` is committed; what was not before is applied together.
  Batch OnCommitted(uint64_t index);
  // Joins what is applied with it and was committed later.
  static void Join(Batch& batch, const Batch& later);
  // Proposals that are answered from here on are of this batch; nullopt: they fail.
  void Answer(const std::optional<Batch>& batch) { answered_ = batch; }

 private:
  struct Write {
    uint64_t job = 0;
    uint64_t last_index = 0;
    base::MonotonicTime begun;
    std::optional<base::Duration> took;
  };
  void Tell(base::MonotonicTime asked, base::MonotonicTime taken, const absl::Status& outcome) const;

  const NodeOptions& options_;
  std::deque<Write> appending_;   // by job
  std::deque<Write> committing_;  // by index
  std::optional<Batch> answered_;
};

}  // namespace larder::raft
