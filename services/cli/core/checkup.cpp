#include "core/checkup.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/failure.h"
#include "core/object_view.h"
#include "larder/base/error_table.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using base::FormatBytes;
using object::Finding;

constexpr std::string_view kPage = "docs/troubleshooting.md";
constexpr base::Duration kClockOff = std::chrono::seconds(2);
constexpr uint64_t kArenaFullPercent = 92;  // room is made above 90, where any can be
constexpr uint64_t kQuarantinePercent = 10;
constexpr uint64_t kWastePercent = 25;  // objects are moved together above 20
constexpr uint64_t kQuotaPercent = 95;  // as of the arena
constexpr uint64_t kFewOpenFiles = 4096;
constexpr uint64_t kOpenFilesPercent = 80;
constexpr uint64_t kDiskLowPercent = 5;
constexpr uint64_t kDiskFullPercent = 1;

Finding Fine(std::string name, std::string what) { return {.name = std::move(name), .what = std::move(what)}; }
Finding Warn(std::string name, std::string what, std::string remedy, std::string topic) {
  return {.verdict = Finding::Verdict::kWarning,
          .name = std::move(name),
          .what = std::move(what),
          .remedy = std::move(remedy),
          .topic = std::move(topic)};
}

uint64_t Percent(uint64_t part, uint64_t whole) { return whole == 0 ? 0 : 100 * part / whole; }

std::string PartOf(uint64_t part, uint64_t whole) {
  return fmt::format("{} of {} ({} %)", FormatBytes(part), FormatBytes(whole), Percent(part, whole));
}

struct Release {
  int major_number = 0;
  int minor_number = 0;
};
std::optional<Release> ParseRelease(std::string_view version) {
  Release release;
  const char* const end = version.data() + version.size();
  const auto major_end = std::from_chars(version.data(), end, release.major_number);
  if (major_end.ec != std::errc() || major_end.ptr == end || *major_end.ptr != '.') return std::nullopt;
  const auto minor_end = std::from_chars(major_end.ptr + 1, end, release.minor_number);
  if (minor_end.ec != std::errc()) return std::nullopt;
  return release;
}

const pb::NamespaceUse* OwnNamespace(const pb::StatusResponse& status) {
  const auto own = std::find_if(status.namespaces().begin(), status.namespaces().end(),
                                [&](const pb::NamespaceUse& use) { return use.namespace_() == status.namespace_(); });
  return own == status.namespaces().end() ? nullptr : &*own;
}

Finding CheckIdentity(const pb::StatusResponse& status) {
  return Fine("identity", fmt::format("namespace {}, identity {}", status.namespace_(), status.identity()));
}

Finding CheckMembership(const pb::MembershipStatus& membership) {
  constexpr char kName[] = "cluster";
  constexpr char kTopic[] = "#cluster";
  if (membership.state() == pb::MEMBERSHIP_STATE_FENCED) {
    return Failed(kName, absl::UnavailableError(membership.why()), "look at the trackers and the network", kTopic);
  }
  std::string what = fmt::format("member with node epoch {}", membership.node_epoch());
  if (membership.state() != pb::MEMBERSHIP_STATE_MEMBER) {
    return Warn(kName, membership.why(), "look at the trackers, if that lasts", kTopic);
  }
  if (membership.peer_managers() == 0) return Fine(kName, std::move(what) + ", by the tracker's word");
  what +=
      fmt::format(", {} of {} peer managers answer", membership.peer_managers_connected(), membership.peer_managers());
  if (membership.peer_managers_connected() == membership.peer_managers()) return Fine(kName, std::move(what));
  return Warn(kName, std::move(what), "start the others, or look at the setting 'peer_manager' and the network",
              kTopic);
}

Finding CheckArena(const pb::StatusResponse& status) {
  const pb::ArenaUse& arena = status.arena();
  const uint64_t used = arena.limit_bytes() - arena.free_bytes();
  const uint64_t room = arena.limit_bytes() - arena.reserved_bytes();
  std::string what = PartOf(used, room) + " in use";
  if (Percent(used, room) < kArenaFullPercent) return Fine("arena", std::move(what));
  const pb::NamespaceUse* own = OwnNamespace(status);
  if (own != nullptr && own->evict_last()) {
    return Warn("arena", std::move(what), "objects are dropped to make room, those in use are not: raise 'arena'",
                "#full-arena");
  }
  return Warn("arena", std::move(what), "delete objects, raise 'arena', or set 'evict_last' for a namespace",
              "#full-arena");
}

Finding CheckQuarantine(const pb::ArenaUse& arena) {
  std::string what = PartOf(arena.quarantined_bytes(), arena.limit_bytes()) + " in quarantine";
  if (Percent(arena.quarantined_bytes(), arena.limit_bytes()) < kQuarantinePercent) {
    return Fine("quarantine", std::move(what));
  }
  return Warn("quarantine", std::move(what), "some process still maps deleted objects: end it, or let it reconnect",
              "#quarantine");
}

Finding CheckWaste(const pb::ArenaUse& arena) {
  std::string what = PartOf(arena.wasted_bytes(), arena.limit_bytes()) + " lies between objects";
  if (Percent(arena.wasted_bytes(), arena.limit_bytes()) < kWastePercent) return Fine("waste", std::move(what));
  return Warn("waste", std::move(what), "long read leases keep objects where they are: shorten them, or raise 'arena'",
              "#fragmentation");
}

Finding CheckRecycling(const pb::ArenaUse& arena) {
  if (arena.recycles()) return Fine("recycling", "memory is used again once nobody maps it");
  return Warn("recycling", "the kernel cannot prove that memory is free: it is made anew each time",
              "file leases are off, or the agent runs in a sandbox", "#kernel");
}

Finding CheckQuota(const pb::NamespaceUse& own) {
  if (own.limit_bytes() == 0) {
    return Fine("quota", fmt::format("namespace {} holds {}, without a limit of its own", own.namespace_(),
                                     FormatBytes(own.bytes())));
  }
  std::string what = fmt::format("namespace {} holds {}", own.namespace_(), PartOf(own.bytes(), own.limit_bytes()));
  if (Percent(own.bytes(), own.limit_bytes()) < kQuotaPercent) return Fine("quota", std::move(what));
  return Warn("quota", std::move(what), "delete objects, or have its quota raised", "#quotas");
}

Finding CheckOpenFiles(const pb::OpenFiles& files) {
  if (files.limit() == UINT64_MAX) return Fine("open files", fmt::format("{}, without a limit", files.used()));
  std::string what = fmt::format("{} of {}", files.used(), files.limit());
  if (files.limit() >= kFewOpenFiles && Percent(files.used(), files.limit()) < kOpenFilesPercent) {
    return Fine("open files", std::move(what));
  }
  return Warn("open files", std::move(what), "raise the agent's hard limit (LimitNOFILE=, ulimit -Hn)", "#open-files");
}

Finding CheckDisk(const pb::DiskUse& disk) {
  if (disk.total_bytes() == 0) return Fine("disk", disk.data_dir() + " does not tell its size");
  std::string what = fmt::format("{} free at {}", PartOf(disk.free_bytes(), disk.total_bytes()), disk.data_dir());
  if (disk.limit_bytes() != 0) what += fmt::format(", objects {}", PartOf(disk.used_bytes(), disk.limit_bytes()));
  const uint64_t free = Percent(disk.free_bytes(), disk.total_bytes());
  if (free < kDiskFullPercent) {
    Finding full =
        Warn("disk", std::move(what), "free space there, delete objects, or set 'disk.max_bytes'", "#full-disk");
    full.verdict = Finding::Verdict::kFailure;
    full.code = absl::StatusCode::kResourceExhausted;
    return full;
  }
  const bool near_limit = disk.limit_bytes() != 0 && Percent(disk.used_bytes(), disk.limit_bytes()) >= kQuotaPercent;
  if (free >= kDiskLowPercent && !near_limit) return Fine("disk", std::move(what));
  return Warn("disk", std::move(what), "free space there, delete objects, or set 'disk.max_bytes'", "#full-disk");
}

Finding CheckDamage(const pb::StatusCounters& counters) {
  if (counters.damaged() == 0) return Fine("damage", "no object was found damaged");
  return Warn("damage", fmt::format("{} objects were found damaged, and dropped", counters.damaged()),
              "check the disk and the memory of the node", "#damaged-objects");
}

std::string_view Word(Finding::Verdict verdict) {
  switch (verdict) {
    case Finding::Verdict::kOk:
      return "ok";
    case Finding::Verdict::kWarning:
      return "warn";
    case Finding::Verdict::kFailure:
      break;
  }
  return "fail";
}

}  // namespace

Finding Failed(std::string name, const absl::Status& why, std::string_view remedy, std::string_view topic) {
  return {.verdict = Finding::Verdict::kFailure,
          .name = std::move(name),
          .what = base::Message(why),
          .remedy = std::string(remedy),
          .topic = std::string(topic),
          .code = why.code()};
}

Finding CheckControl(const absl::Status& why) {
  constexpr char kName[] = "control";
  if (base::Reason(why) == "NO_AGENT") return Failed(kName, why, "restart the agent", "#no-control");
  const object::Advice advice = object::AdviceFor(why);
  return Failed(kName, why, advice.remedy, advice.topic);
}

Finding CheckVersion(const std::string& own, const std::string& agents) {
  const std::optional<Release> ours = ParseRelease(own), theirs = ParseRelease(agents);
  std::string what = fmt::format("agent {}, larder {}", agents, own);
  const bool fits = ours && theirs && ours->major_number == theirs->major_number &&
                    std::abs(ours->minor_number - theirs->minor_number) <= 1;
  if (fits || own == agents) return Fine("version", std::move(what));
  return Warn("version", std::move(what), "only neighbouring releases are tested together: update the older one",
              "#versions");
}

Finding CheckClock(base::WallTime agents, base::WallTime asked, base::WallTime answered) {
  // Within the time that the question took, nobody knows.
  base::Duration off{0};
  if (agents < asked) off = asked - agents;
  if (agents > answered) off = agents - answered;
  if (off <= kClockOff) return Fine("clock", "the agent's and ours agree");
  return Warn("clock",
              fmt::format("the agent's is {} {} ours", ShortDuration(off), agents < asked ? "behind" : "before"),
              "set both by NTP", "#clock");
}

std::vector<Finding> CheckStatus(const pb::StatusResponse& status) {
  std::vector<Finding> findings = {CheckIdentity(status)};
  if (status.has_membership()) findings.push_back(CheckMembership(status.membership()));
  findings.insert(findings.end(), {CheckArena(status), CheckQuarantine(status.arena()), CheckWaste(status.arena()),
                                   CheckRecycling(status.arena())});
  if (const pb::NamespaceUse* own = OwnNamespace(status)) findings.push_back(CheckQuota(*own));
  findings.push_back(CheckOpenFiles(status.open_files()));
  if (status.has_disk()) findings.push_back(CheckDisk(status.disk()));
  findings.push_back(CheckDamage(status.counters()));
  return findings;
}

std::string FindingLine(const Finding& finding) {
  std::string line = fmt::format("{:4}  {:13}  {}", Word(finding.verdict), finding.name, Printable(finding.what));
  if (finding.verdict == Finding::Verdict::kOk) return line;
  return line + fmt::format(" ({}; {}{})", finding.remedy, kPage, finding.topic);
}

nlohmann::ordered_json FindingJson(const Finding& finding) {
  const bool ok = finding.verdict == Finding::Verdict::kOk;
  const bool failed = finding.verdict == Finding::Verdict::kFailure;
  const auto unless = [](bool absent, std::string text) {
    return absent ? nlohmann::ordered_json() : nlohmann::ordered_json(std::move(text));
  };
  return {{"verdict", Word(finding.verdict)},
          {"name", finding.name},
          {"what", finding.what},
          {"remedy", unless(ok, finding.remedy)},
          {"see", unless(ok, std::string(kPage) + finding.topic)},
          {"code", unless(!failed, std::string(base::ErrorRowOf(finding.code).name))}};
}

absl::Status Conclusion(const std::vector<Finding>& findings) {
  const auto failure = std::find_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.verdict == Finding::Verdict::kFailure;
  });
  if (failure == findings.end()) return absl::OkStatus();
  return base::Error(failure->code, "CHECK_FAILED", "{}: {} ({})", failure->name, failure->what, failure->remedy);
}

}  // namespace larder::cli
