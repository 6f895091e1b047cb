#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "larder/swarm/fetch.h"
#include "src/fetch_parent.h"
#include "src/frames.h"
#include "src/piece_ledger.h"

namespace larder::swarm {

// How often it looks at how fast parents are.
inline constexpr auto kSampleEvery = std::chrono::milliseconds(500);

// All that a fetch decides, without sockets, clock or threads: tell it what happened, then Advance, then do what it
// says. One thread.
class FetchMachine {
 public:
  using ParentId = uint32_t;
  // To be done, in order.
  struct Action {
    enum class Kind : uint8_t {
      kDial,   // the address `text`
      kSend,   // the bytes `text`
      kClose,  // and tell nothing of this connection any more
      kTell,   // the caller, of `failure`
    };
    Kind kind = Kind::kDial;
    ParentId parent = 0;
    std::string text;
    ParentFailure failure;
  };

  FetchMachine(FetchRequest request, const FetcherOptions& options, Metrics& metrics, uint64_t seed,
               base::MonotonicTime now);

  void AddParent(Parent parent, base::MonotonicTime now);
  void RemoveParent(const std::string& node);
  void Want(PieceRun pieces, base::MonotonicTime now);
  void Cancel(const absl::Status& why) { Finish(why); }

  void OnConnected(ParentId id, base::MonotonicTime now);
  void OnClosed(ParentId id, const absl::Status& why, base::MonotonicTime now);
  // This node's rate limit keeps it from reading what the parent sends; and no more. None of that time counts against
  // the parent, nor as time without progress.
  void OnPaused(ParentId id, base::MonotonicTime now);
  void OnResumed(ParentId id, base::MonotonicTime now);
  // For so long, until now, this node read from nobody, or from one parent: the same holds of that time.
  void OnBusy(base::Duration busy, base::MonotonicTime now);
  // Bytes of frames came, data of PIECE excepted: the parent is alive, while its manifest is awaited.
  void OnBytes(ParentId id, base::MonotonicTime now);
  // Data of a PIECE came that have room: the same, while pieces are.
  void OnWanted(ParentId id, base::MonotonicTime now);
  // A frame that cannot be: BAD_FRAME. The same for what else the parent sent wrongly.
  void OnMalformed(ParentId id, const absl::Status& why, base::MonotonicTime now);
  // A whole frame, PIECE excepted.
  void OnFrame(ParentId id, const ControlFrame& frame, base::MonotonicTime now);
  // Where the data of a PIECE go: of the `size` bytes after its first `part`, as many as lie together, at least one.
  // Nowhere if nobody wants them any more. BAD_FRAME if they were not asked for. To be asked again after whatever else
  // was told: they may not be wanted then.
  absl::StatusOr<base::MutableByteSpan> Room(ParentId id, const PieceFrame& frame, uint32_t part, uint32_t size);
  // The first `size` bytes of them lie there, with this CRC-32C: all, or what came before the connection ended.
  void OnData(ParentId id, const PieceFrame& frame, uint32_t size, uint32_t crc, base::MonotonicTime now);
  // They were not what their frame's checksum said.
  void OnDamaged(ParentId id, base::MonotonicTime now);

  // Does what is due, and asks for pieces.
  void Advance(base::MonotonicTime now);
  // When it is due again, if nothing happens before.
  base::Deadline next() const;
  std::vector<Action> TakeActions() { return std::exchange(actions_, {}); }
  const std::optional<FetchResult>& result() const { return result_; }

 private:
  using Now = base::MonotonicTime;
  void Do(Action::Kind kind, ParentId parent, std::string text = {}) {
    actions_.push_back({.kind = kind, .parent = parent, .text = std::move(text)});
  }
  // All that is wanted is here, and the object is not.
  bool idle() const { return ledger_ && ledger_->satisfied() && !ledger_->complete(); }
  FetchParent* Find(ParentId id);
  FetchParent* FindNode(const std::string& node);
  void Disconnect(FetchParent& parent);
  void Fail(FetchParent& parent, const absl::Status& why, bool final, Now now);
  absl::Status HandleFrame(FetchParent& parent, const ControlFrame& frame, Now now);
  absl::Status HandleManifest(FetchParent& parent, const ControlFrame& frame, Now now);
  absl::Status HandleHave(FetchParent& parent, base::ByteSpan payload, Now now);
  void HandleError(FetchParent& parent, const ErrorFrame& error, Now now);
  // The first manifest of all.
  absl::Status Adopt(Manifest manifest, Now now);
  void EndFlight(FetchParent& parent, uint32_t request, bool cancel);
  void CancelAll(FetchParent& parent);
  void PieceVerified(uint32_t piece);
  // So many verified pieces, maybe of an earlier fetch, that what is offered in turn would often be among them.
  bool HasMuch() const;
  void ForgivePauses(Now now);
  void DialDue(Now now);
  void CheckStall(FetchParent& parent, Now now);
  void SampleRates(Now now);
  void AssignPieces(Now now);
  // False if a run was longer than could be begun at once. `all`: super-seeders are asked for whatever they have.
  bool AssignOnce(bool all, Now now);
  // No parent is there but such that super-seed.
  bool Alone() const;
  // When super-seeders that have nothing to do are asked for more than they offer: nothing came from anybody for long,
  // or nobody else is there to have it from.
  base::Deadline AskAllAt() const;
  std::vector<AssignView::InFlight> EndgamePieces(const std::vector<FetchParent*>& open, Now now) const;
  uint32_t FreeOf(const FetchParent& parent, Now now) const;
  // Somebody who is not slow has the piece.
  bool BetterHas(uint32_t piece, Now now) const;
  // What a slow parent may be asked for: what is wanted, and it alone or other slow ones have.
  PieceSet ScarceAt(const FetchParent& parent, Now now) const;
  void LeaveStraggler(FetchParent& parent, Now now);
  void Finish(absl::Status status);
  std::string WhyEach() const;

  FetchRequest request_;
  const FetcherOptions options_;
  Metrics& metrics_;
  std::mt19937_64 random_;
  ParentId next_parent_ = 1;
  uint32_t next_request_ = 1;
  std::map<ParentId, FetchParent> parents_;
  std::shared_ptr<const Manifest> manifest_;
  base::Sha256Digest manifest_digest_{};
  std::optional<PieceLedger> ledger_;
  std::vector<PieceRun> urgent_;  // wanted before there was a ledger
  Now progress_;
  Now advanced_;         // when Advance was last called,
  bool paused_ = false;  // and whether a parent was paused then
  Now next_sample_;
  Now accompanied_;       // when it last had a parent that does not super-seed
  bool changed_ = false;  // something that pieces may be asked for again
  std::vector<Action> actions_;
  std::optional<FetchResult> result_;
};

}  // namespace larder::swarm
