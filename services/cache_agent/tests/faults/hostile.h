#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/unique_fd.h"
#include "tests/faults/raw_client.h"

// What a hostile client does, as root in a pod of its own. It says what came of it; others judge.
namespace larder::cache_agent {

// Leaves the caller's namespaces of processes, mounts, network and IPC for fresh ones, and keeps only the capabilities
// that a container has by default. Returns in the child that lives there; false, in the same process, without the right
// to.
bool EnterPod();

// ---- hostile_memory.cpp

// Tries all ways to change the memory of a sealed object, as received and opened anew. Lines "way: refused (errno)" or
// "way: CHANGED".
std::vector<std::string> ChangeSealedMemory(const Shared& shared);

// ---- hostile_keeper.cpp

// Ways to hold on to memory that was to be given back. The kernel's proof of reuse sees neither paths, nor pages in a
// pipe, nor pinned ones.
enum class Keeping { kMapping, kDescriptor, kReopened, kInFlight, kFork, kThird, kPath, kPipe, kPinned };
// A word that is part of a test's name and a command.
std::string KeepingName(Keeping keeping);
// Throws std::invalid_argument.
Keeping KeepingOf(const std::string& name);

// Holds on to the memory of one extent; sees it, and writes it if it may, as long as it lives.
class Keeper {
 public:
  virtual ~Keeper() = default;
  // The bytes as they are now; kPipe has only the first.
  virtual std::vector<std::byte> See() = 0;
  // Overwrites all of them.
  virtual void Scribble(std::byte value) = 0;
};
// Throws std::system_error where the way is barred.
std::unique_ptr<Keeper> MakeKeeper(Keeping keeping, base::UniqueFd fd, const WireExtent& extent, bool writable);

// ---- hostile_records.cpp

// All operations under leases and epochs that are none of this client's: those given, those beside them, none, and the
// largest. A line "OPERATION REASON, …" of what there was for an answer, each once.
std::string UseForgedLeases(const RawClient& client, const Creating& others);
// All operations that name a key. A line likewise.
std::string UseKey(const RawClient& client, const std::string& key);
// `rounds` records that no honest client sends, from the seed on, with descriptors that nobody asked for: how many the
// agent answered, and how many connections that cost. Throws std::runtime_error if no new connection can be had.
std::string SendMangled(const std::filesystem::path& socket_dir, const std::string& ns, unsigned seed, int rounds);

// ---- hostile_floods.cpp

// Of what there is too much of.
enum class Flood {
  kDials,
  kHellos,
  kSessions,
  kDescriptors,
  kGets,
  kPuts,
  kBatches,
  kLists,
  kCreations,
  kWindows,
  kLargePuts,
  kLeases,
  kNeverReads,
  kReadsSlowly
};
inline constexpr std::array kAllFloods = {
    Flood::kDials,     Flood::kHellos,  Flood::kSessions,   Flood::kDescriptors, Flood::kGets,
    Flood::kPuts,      Flood::kBatches, Flood::kLists,      Flood::kCreations,   Flood::kWindows,
    Flood::kLargePuts, Flood::kLeases,  Flood::kNeverReads, Flood::kReadsSlowly};
std::string FloodName(Flood flood);
// Throws std::invalid_argument.
Flood FloodOf(const std::string& name);
// Goes on for ever, whatever it is refused; `begun` is called, often, when the flood has reached the agent.
void RunFlood(Flood flood, const std::filesystem::path& socket_dir, const std::string& ns,
              const std::function<void()>& begun);

}  // namespace larder::cache_agent
