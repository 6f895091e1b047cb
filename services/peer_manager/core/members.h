#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/mass_loss.h"
#include "core/node.h"
#include "larder/base/clock.h"

namespace larder::peer_manager {

// What became of an order to fence.
enum class FenceOutcome : uint8_t {
  kFenced,
  kRefused,  // nothing was done: ask again later
  kUnknown,  // it may be done, now or later
};

// All nodes and who of them is alive: what agents say in their sessions, beside what the tracker has on record.
//
// Two rules make fencing safe. A beat is taken for a registration only while that is neither over nor about to be: from
// TakeFences to EndFence none is. And TakeFences names no registration of which a beat was taken within T_s, or that
// this manager knows for less, or as long as it leads for less than T_s, since it does not know whom the leader before
// it answered.
//
// Pure: the time is the caller's (base::Clock::BootNow), and never goes back. One thread at a time.
class Members {
 public:
  // `session` is T_s. Above `most` nodes, those that the tracker does not know of are refused.
  Members(base::Duration session, size_t most) : session_(session), most_(most), mass_loss_(session) {}

  // A session begins; the first beat came with it. What it takes the place of, if anything, is to be ended: nothing
  // that comes from there is taken any more. FAILED_PRECONDITION (NODE_EPOCH_STALE, INCARNATION_STALE), UNAVAILABLE
  // (NODE_FENCED), RESOURCE_EXHAUSTED (TOO_MANY_SESSIONS).
  absl::StatusOr<std::optional<SessionId>> Enter(SessionId session, const Introduction& said, const Beat& beat,
                                                 base::MonotonicTime now);
  // The node lives on. The session is to be ended with what else than OK it returns: ABORTED (SESSION_REPLACED) and as
  // Enter.
  absl::Status Take(const std::string& node, SessionId session, const Beat& beat, base::MonotonicTime now);
  // The session is over. Nothing if it was replaced.
  void Leave(const std::string& node, SessionId session, base::MonotonicTime now);

  // All that the tracker has on record, for which it was asked at `asked`. A node that it does not know is forgotten,
  // unless it has a session. Epochs and incarnations are the tracker's to give out: later ones that somebody told of
  // before `asked`, and it does not know of, are not so.
  void OnTracked(std::span<const TrackedNode> nodes, base::MonotonicTime asked, base::MonotonicTime now);

  // This manager leads from now on; or no more: fences that are under way are no longer its business, as the tracker
  // refuses what comes of an earlier term.
  void Lead(base::MonotonicTime now);
  void StopLeading();
  // It has led for T_s.
  bool MayFence(base::MonotonicTime now) const;
  // Registrations to be fenced now, `most` at most. Each is under way until EndFence. After an outcome that is unknown
  // it is told again some time later, and stays under way until it is known to be fenced: what refuses the second order
  // does not say that the first comes to nothing. Begins behind the last one named, so that all have their turn.
  std::vector<NodeRef> TakeFences(size_t most, base::MonotonicTime now);
  // Returns whether only the end of this term ends the doubt: the order was refused, and one before it may yet be done.
  bool EndFence(const NodeRef& fenced, FenceOutcome outcome, base::MonotonicTime now);

  // Notes who fell silent meanwhile.
  void Advance(base::MonotonicTime now);

  // Where the node is that has that registration, and is live or draining, and not quarantined. FAILED_PRECONDITION
  // (NODE_EPOCH_STALE): it registered anew; UNAVAILABLE (NODE_NOT_LIVE).
  absl::StatusOr<Place> Serving(const NodeRef& node) const;
  // As of the last event or Advance. By name, those after `after`, `most` at most.
  std::vector<NodeView> List(const std::string& after, size_t most, base::MonotonicTime now) const;
  size_t Count(NodeState state) const { return counts_[static_cast<size_t>(state)]; }
  bool mass_loss() const { return mass_loss_.is_on(); }

 private:
  struct Fence {
    bool asked = false;        // an order is out
    bool may_be_done = false;  // the outcome of an earlier one is unknown
    base::MonotonicTime again{};
  };
  struct Member {
    SessionId session;  // 0: none
    uint64_t incarnation = 0;
    base::MonotonicTime incarnation_at{};  // since it is known
    Place place;
    std::optional<Capacity> capacity;
    std::optional<Load> load;
    std::optional<base::MonotonicTime> seen;
    bool tracked = false;     // the tracker has had it on record
    NodeEpoch tracked_epoch;  // in the last reading; 0: it was not there
    bool draining = false;
    bool quarantined = false;

    NodeEpoch epoch;                    // the latest that anybody told of
    base::MonotonicTime epoch_at{};     // since it is known
    NodeEpoch beaten;                   // of the last beat
    NodeEpoch fenced;                   // the latest that is known to be over
    base::MonotonicTime counts_from{};  // the last beat of `epoch`, or since it is known
    std::optional<Fence> fence;         // of `epoch`, under way
    base::MonotonicTime not_before{};   // a refused fence is asked for again

    NodeState state = NodeState::kSuspect;
    base::MonotonicTime state_since{};
  };

  // May this be said of the node?
  absl::Status Check(const std::string& node, const Member& member, NodeEpoch said) const;
  // `epoch` is the registration that counts from now on.
  static void SetEpoch(Member& member, NodeEpoch epoch, base::MonotonicTime now);
  static void Learn(Member& member, NodeEpoch epoch, base::MonotonicTime now);
  static void SetIncarnation(Member& member, uint64_t incarnation, base::MonotonicTime now);
  void Hear(Member& member, const Beat& beat, base::MonotonicTime now);
  NodeState StateOf(const Member& member, base::MonotonicTime now) const;
  void Judge(const std::string& node, Member& member, base::MonotonicTime now);
  // Is its registration to be fenced?
  bool FenceIsDue(const Member& member, base::MonotonicTime now) const;
  Member& Make(const std::string& node, base::MonotonicTime now);
  Member* Find(const std::string& node);
  void ForgetStrangers();

  const base::Duration session_;
  const size_t most_;
  MassLoss mass_loss_;
  std::map<std::string, Member> members_;
  bool was_read_ = false;  // the tracker told of its nodes once
  std::array<size_t, kNodeStates.size()> counts_{};
  std::optional<base::MonotonicTime> leads_since_;
  std::string last_fenced_;  // the last one that TakeFences named
};

}  // namespace larder::peer_manager
