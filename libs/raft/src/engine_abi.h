#pragma once
// The Raft engine (the crate in engine/) as C sees it: RawNode with asynchronous ready, and the guards of the README.
// One thread at a time; no thread inside. Bytes that the engine shows are views: of a ready until ready_end, all others
// until the next call. engine/src/abi.rs has the same declarations; both sides assert their sizes.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct larder_raft larder_raft;

typedef struct {
  const uint8_t* data;
  size_t size;
} larder_raft_bytes;

typedef struct {
  uint64_t index;
  uint64_t term;
  uint64_t kind;  // EntryKind
  larder_raft_bytes payload;
} larder_raft_entry;

typedef struct {
  uint64_t term;
  uint64_t vote;
  uint64_t commit;
} larder_raft_hard_state;

typedef struct {
  uint64_t index;
  uint64_t term;
  larder_raft_bytes configuration;  // a ConfState
  larder_raft_bytes data;           // the host's own
} larder_raft_snapshot;

typedef struct {
  uint64_t to;
  uint64_t is_snapshot;  // the host must report_snapshot what became of it
  larder_raft_bytes bytes;
} larder_raft_message;

typedef struct {
  uint64_t index;
  larder_raft_bytes context;
} larder_raft_read;

// How a call, or a callback, ended.
enum {
  LARDER_RAFT_OK = 0,
  LARDER_RAFT_INVALID = 1,      // the argument, or the message, is refused; nothing has changed
  LARDER_RAFT_NOT_LEADER = 2,   // only a leader does that
  LARDER_RAFT_NOT_READY = 3,    // not now: a snapshot is being installed, a change is pending, leadership moves
  LARDER_RAFT_BUSY = 4,         // too much is not committed, or not applied, yet
  LARDER_RAFT_POISONED = 5,     // the engine panicked, now or before; last_error has the first cause
  LARDER_RAFT_COMPACTED = 6,    // of callbacks: the index was purged
  LARDER_RAFT_UNAVAILABLE = 7,  // of callbacks: not now (a snapshot), or not there (an entry)
  LARDER_RAFT_FAILED = 8,       // of callbacks: the disk
  LARDER_RAFT_REFUSED = 9       // a change that cannot be made; all members refuse it, and nothing has changed
};

typedef void (*larder_raft_push)(void* sink, const larder_raft_entry* entry);

// Where the log is that the engine does not hold itself. They may not call the engine, nor throw.
typedef struct {
  void* host;
  // Gives entries [first, end) to `push`, in order, until over max_bytes of payload; at least one.
  int32_t (*entries)(void* host, uint64_t first, uint64_t end, uint64_t max_bytes, larder_raft_push push, void* sink);
  int32_t (*term)(void* host, uint64_t index, uint64_t* term);
  // The newest snapshot, at or after `at_least`, for member `to`.
  int32_t (*snapshot)(void* host, uint64_t at_least, uint64_t to, larder_raft_snapshot* snapshot);
} larder_raft_storage;

typedef struct {
  uint64_t id;
  uint64_t election_ticks;  // at least, and less than twice that
  uint64_t heartbeat_ticks;
  uint64_t seed;  // of election timeouts
  uint64_t applied;
  uint64_t truncated_index;
  uint64_t truncated_term;
  uint64_t last_index;
  larder_raft_hard_state hard_state;
  larder_raft_bytes configuration;  // a ConfState; empty: no member yet
  uint64_t max_message_bytes;       // of entries in one message
  uint64_t max_inflight_messages;   // appends on their way to one member
  uint64_t max_uncommitted_bytes;
  uint64_t max_unapplied_bytes;
  uint64_t max_cached_bytes;  // of the log's durable tail, kept for slow members
  larder_raft_storage storage;
} larder_raft_config;

enum { LARDER_RAFT_FOLLOWER = 0, LARDER_RAFT_CANDIDATE = 1, LARDER_RAFT_LEADER = 2, LARDER_RAFT_PRE_CANDIDATE = 3 };

typedef struct {
  uint64_t number;
  uint64_t has_hard_state;
  larder_raft_hard_state hard_state;
  uint64_t has_snapshot;
  larder_raft_snapshot snapshot;  // to be installed before the entries are written
  const larder_raft_entry* entries;
  size_t entry_count;
  const larder_raft_entry* committed;
  size_t committed_count;
  const larder_raft_message* messages;  // may go out at once
  size_t message_count;
  const larder_raft_message* persisted_messages;  // only once all of this ready is durable
  size_t persisted_message_count;
  const larder_raft_read* reads;
  size_t read_count;
} larder_raft_ready;

typedef struct {
  uint64_t role;
  uint64_t term;
  uint64_t vote;
  uint64_t leader;  // 0: unknown
  uint64_t last_index;
  uint64_t persisted;
  uint64_t committed;
  uint64_t applied;
  uint64_t pending_change_index;
  uint64_t joint;       // the applied configuration is a joint one
  uint64_t voter;       // this member votes in it, in- or outgoing
  uint64_t transferee;  // 0: leadership is not being moved
  uint64_t pending_reads;
  uint64_t unapplied_bytes;
  uint64_t quiet_ticks;  // without a message, the tick of this number from now is the first that does more than count
} larder_raft_status;

typedef struct {
  uint64_t id;
  uint64_t matched;
  uint64_t recently_active;
  uint64_t learner;
  uint64_t wants_snapshot;
} larder_raft_progress;

enum { LARDER_RAFT_ADD_VOTER = 0, LARDER_RAFT_REMOVE = 1, LARDER_RAFT_ADD_LEARNER = 2 };

typedef struct {
  uint64_t what;
  uint64_t id;
} larder_raft_change;

// The sizes of the structs above, in their order, as the engine has them.
size_t larder_raft_layout(size_t* sizes, size_t count);

// Null if it cannot be made: `error` has why, cut at `capacity`, and a NUL. With a stored commit that is behind the
// truncated or the applied index, it begins at the highest of them; one after the last index is refused.
larder_raft* larder_raft_create(const larder_raft_config* config, char* error, size_t capacity);
void larder_raft_destroy(larder_raft* raft);
// Why the last call failed.
larder_raft_bytes larder_raft_last_error(const larder_raft* raft);

int32_t larder_raft_tick(larder_raft* raft);
int32_t larder_raft_campaign(larder_raft* raft);
// A message of another member. Refused (INVALID): what no member sends, and what the engine would take wrongly.
int32_t larder_raft_step(larder_raft* raft, larder_raft_bytes message);
// Appends `count` commands as one: they are at first.index, first.index + 1, … of first.term; all of them or none.
int32_t larder_raft_propose(larder_raft* raft, const larder_raft_bytes* payloads, size_t count, uint64_t* first_index,
                            uint64_t* term);
// A change of members: one as it is, several by a joint configuration, which the host leaves by a change of none once
// it is applied.
int32_t larder_raft_propose_change(larder_raft* raft, const larder_raft_change* changes, size_t count, uint64_t* index,
                                   uint64_t* term);
// Asks up to which index a read must wait, by a round to a quorum. The answer comes in a ready, with the context; it
// may never come. `context` must not have been used before, on any member.
int32_t larder_raft_read_index(larder_raft* raft, larder_raft_bytes context);

// While more than max_unapplied_bytes are given out and not applied, no more of what is committed counts.
bool larder_raft_has_ready(larder_raft* raft);
// What is to be done now. Until ready_end nothing else may be called.
int32_t larder_raft_ready_begin(larder_raft* raft, larder_raft_ready* ready);
// The host has taken what it needs, and will make it durable in the order of the numbers.
int32_t larder_raft_ready_end(larder_raft* raft);
// Everything up to this ready is durable; after a snapshot, also installed and applied.
int32_t larder_raft_on_persist_ready(larder_raft* raft, uint64_t number);
// The state machine has come to `index`.
int32_t larder_raft_applied_to(larder_raft* raft, uint64_t index);
// To be called when the entry of a change is applied, unless it was refused: the new configuration. After REFUSED the
// entry is skipped; after any other error members would come to differ.
int32_t larder_raft_apply_change(larder_raft* raft, uint64_t index, uint64_t kind, larder_raft_bytes payload,
                                 larder_raft_bytes* configuration);
// Entries up to `index`, which are applied, may be gone from storage from now on.
int32_t larder_raft_compact(larder_raft* raft, uint64_t index);

int32_t larder_raft_report_unreachable(larder_raft* raft, uint64_t id);
int32_t larder_raft_report_snapshot(larder_raft* raft, uint64_t id, bool arrived);
// Moves leadership to a voter; gives up by itself after an election timeout.
int32_t larder_raft_transfer_leader(larder_raft* raft, uint64_t id);
int32_t larder_raft_get_status(const larder_raft* raft, larder_raft_status* status);
// What the leader knows of each member, itself too; how many there are.
size_t larder_raft_get_progress(const larder_raft* raft, larder_raft_progress* progress, size_t capacity);
// A configuration of `count` voters, as create takes one.
int32_t larder_raft_encode_voters(const uint64_t* ids, size_t count, uint8_t* out, size_t* size);

#ifdef __cplusplus
}
#endif
