#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "tests/faults/busy_client.h"
#include "tests/faults/hostile.h"

namespace larder::cache_agent {
namespace {

using base::kKiB;
using base::kMiB;

constexpr std::array<std::pair<Flood, const char*>, 14> kNames = {{{Flood::kDials, "Dials"},
                                                                   {Flood::kHellos, "Hellos"},
                                                                   {Flood::kSessions, "Sessions"},
                                                                   {Flood::kDescriptors, "Descriptors"},
                                                                   {Flood::kGets, "Gets"},
                                                                   {Flood::kPuts, "Puts"},
                                                                   {Flood::kBatches, "Batches"},
                                                                   {Flood::kLists, "Lists"},
                                                                   {Flood::kCreations, "Creations"},
                                                                   {Flood::kWindows, "Windows"},
                                                                   {Flood::kLargePuts, "LargePuts"},
                                                                   {Flood::kLeases, "Leases"},
                                                                   {Flood::kNeverReads, "NeverReads"},
                                                                   {Flood::kReadsSlowly, "ReadsSlowly"}}};

constexpr size_t kKept = 60;            // connections of one process before HELLO: as many as it may have
constexpr size_t kManySessions = 1000;  // more than a quota that means something
constexpr int kPipelined = 32;          // requests under way
constexpr int kObjects = 64;
constexpr uint64_t kObjectSize = 60 * kKiB;
constexpr uint64_t kWindowSize = 4 * kMiB;

// What a flood comes from; it goes on for ever.
struct Hose {
  std::filesystem::path socket_dir;
  std::string ns;
  std::function<void()> begun;
  absl::StatusOr<RawClient> Open() const { return RawClient::Greeted(socket_dir, ns); }
};

std::string KeyOf(int number) { return "flood/" + std::to_string(number % kObjects); }

void PutObjects(const Hose& hose, uint64_t size) {
  auto client = hose.Open();
  if (!client.ok()) throw std::runtime_error(client.status().ToString());
  for (int i = 0; i < kObjects; ++i) {
    client->Put(KeyOf(i), base::AsBytes(Pattern(KeyOf(i), size)), {.overwrite = true}).IgnoreError();
  }
}

// Connections that say nothing, or no more than HELLO, held as long as the agent holds them.
void HoldConnections(const Hose& hose, size_t limit, bool greet) {
  std::vector<RawClient> held;
  while (true) {
    auto client = RawClient::Dial(hose.socket_dir);
    if (!client.ok()) continue;
    if (greet && !client->Hello(hose.ns).ok()) {
      hose.begun();
      continue;
    }
    held.push_back(*std::move(client));
    if (held.size() < limit) continue;
    hose.begun();
    held.erase(held.begin());
  }
}

void HelloAgainAndAgain(const Hose& hose) {
  while (true) {
    hose.Open().status().IgnoreError();
    hose.begun();
  }
}

// Keeps `kPipelined` requests under way; where the connection is lost, on another.
void Pipeline(const Hose& hose, const std::function<absl::Status(const RawClient&, int)>& ask) {
  while (true) {
    const auto client = hose.Open();
    if (!client.ok()) continue;
    int asked = 0;
    while (asked < kPipelined && ask(*client, asked).ok()) ++asked;
    hose.begun();
    while (client->Receive().ok() && ask(*client, asked++).ok()) {
    }
  }
}

absl::Status AskBatch(const RawClient& client, int number) {
  constexpr uint16_t kItems = 64;
  const base::ByteWriter stat = base::ByteWriter().Str(KeyOf(number));
  base::ByteWriter batch;
  batch.U16(kItems);
  for (int i = 0; i < kItems; ++i) {
    batch.U16(static_cast<uint16_t>(Op::kStat)).U32(static_cast<uint32_t>(stat.size())).Raw(stat.bytes());
  }
  return client.Send(Op::kBatch, batch);
}

absl::Status SendDescriptors(const RawClient& client) {
  const std::vector<int> most(253, client.fd());
  return client.SendBytes(RecordOf(Op::kPing, {}), most);
}

// Creations that never end, with half of their bytes, and windows if they are to have some; when no more are to be had,
// the oldest of them begin again.
void CreateForEver(const Hose& hose, bool windows) {
  while (true) {
    const auto client = hose.Open();
    if (!client.ok()) continue;
    std::vector<Memory> mapped;
    for (int number = 0;; ++number) {
      const auto creating =
          client->Create(fmt::format("forever/{}/{}", ::getpid(), number), {.size_hint = kWindowSize});
      if (base::Reason(creating.status()) == "CONNECTION_LOST") break;
      if (!creating.ok()) hose.begun();
      if (!creating.ok()) continue;
      client->WriteInline(*creating, base::AsBytes(Pattern("forever", kInlineLimit))).IgnoreError();
      if (!windows) continue;
      const auto window = client->Window(creating->lease, kWindowSize);
      if (!window.ok()) {
        hose.begun();
        client->Discard(*creating).IgnoreError();
        continue;
      }
      for (Memory& memory : MapAll(*window, PROT_READ | PROT_WRITE)) mapped.push_back(std::move(memory));
      std::ranges::fill(mapped.back().bytes(), std::byte{0xEE});
    }
  }
}

void PutLarge(const Hose& hose) {
  while (true) {
    const auto client = hose.Open();
    if (!client.ok()) continue;
    const auto ring = client->Window(0, kWindowSize);
    if (!ring.ok()) hose.begun();
    while (ring.ok()) {
      const auto creating = client->Create(fmt::format("large/{}", ::getpid()), {.overwrite = true});
      if (!creating.ok()) break;
      client->WriteShared(*creating, true, 0, kWindowSize).IgnoreError();
      client->Seal(*creating, kWindowSize).IgnoreError();
      hose.begun();
    }
  }
}

// Read leases without end, none of them released.
void LeaseForEver(const Hose& hose) {
  while (true) {
    const auto client = hose.Open();
    if (!client.ok()) continue;
    for (int number = 0;; ++number) {
      const absl::Status status = client->Get(KeyOf(number)).status();
      if (base::Reason(status) == "CONNECTION_LOST") break;
      if (number > 4096 || !status.ok()) hose.begun();
    }
  }
}

// Asks as long as the socket takes it, and reads a record at a time after `pause` milliseconds, or none at all.
void ReadTooLittle(const Hose& hose, std::optional<int> pause) {
  while (true) {
    const auto client = hose.Open();
    if (!client.ok()) continue;
    const std::vector<std::byte> get = RecordOf(Op::kGet, GetOf(KeyOf(0), 1).bytes());
    while (true) {
      const absl::Status sent = client->SendBytes(get, {}, false);
      if (base::Reason(sent) == "CONNECTION_LOST") break;
      if (sent.ok()) continue;
      hose.begun();
      ::poll(nullptr, 0, pause.value_or(10));
      std::byte first;
      if (pause && ::recv(client->fd(), &first, 1, MSG_DONTWAIT) == 0) break;
    }
  }
}

}  // namespace

std::string FloodName(Flood flood) {
  return std::ranges::find(kNames, flood, &std::pair<Flood, const char*>::first)->second;
}

Flood FloodOf(const std::string& name) {
  for (const auto& [flood, its_name] : kNames) {
    if (name == its_name) return flood;
  }
  throw std::invalid_argument(name);
}

void RunFlood(Flood flood, const std::filesystem::path& socket_dir, const std::string& ns,
              const std::function<void()>& begun) {
  const Hose hose{socket_dir, ns, begun};
  switch (flood) {
    case Flood::kDials:
      return HoldConnections(hose, kKept, false);
    case Flood::kHellos:
      return HelloAgainAndAgain(hose);
    case Flood::kSessions:
      return HoldConnections(hose, kManySessions, true);
    case Flood::kDescriptors:
      return Pipeline(hose, [](const RawClient& client, int) { return SendDescriptors(client); });
    case Flood::kGets:
      PutObjects(hose, kObjectSize);
      return Pipeline(hose, [](const RawClient& client, int number) {
        return client.Send(Op::kGet, GetOf(KeyOf(number), 1));  // inline
      });
    case Flood::kPuts:
      return Pipeline(hose, [bytes = Pattern("put", kObjectSize)](const RawClient& client, int number) {
        return client.Send(Op::kPut, PutOf(KeyOf(number), base::AsBytes(bytes), {.overwrite = true}));
      });
    case Flood::kBatches:
      PutObjects(hose, kKiB);
      return Pipeline(hose, AskBatch);
    case Flood::kLists:
      PutObjects(hose, kKiB);
      return Pipeline(hose, [](const RawClient& client, int) {
        return client.Send(Op::kList, base::ByteWriter().Str("").Str("").U32(1000));
      });
    case Flood::kCreations:
    case Flood::kWindows:
      return CreateForEver(hose, flood == Flood::kWindows);
    case Flood::kLargePuts:
      return PutLarge(hose);
    case Flood::kLeases:
      PutObjects(hose, 2 * kInlineLimit);
      return LeaseForEver(hose);
    case Flood::kNeverReads:
    case Flood::kReadsSlowly:
      PutObjects(hose, kObjectSize);
      return ReadTooLittle(hose, flood == Flood::kReadsSlowly ? std::optional(1000) : std::nullopt);
  }
}

}  // namespace larder::cache_agent
