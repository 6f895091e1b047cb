#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

#include "larder/base/status.h"
#include "tests/faults/hostile.h"

namespace larder::cache_agent {
namespace {

constexpr size_t kMostDescriptors = 253;
constexpr uint64_t kPingId = 0xFFFF'0000;

const std::map<Op, std::string> kNames = {
    {Op::kCreate, "CREATE"},   {Op::kWindow, "WINDOW"},   {Op::kWrite, "WRITE"},       {Op::kSeal, "SEAL"},
    {Op::kPut, "PUT"},         {Op::kDiscard, "DISCARD"}, {Op::kGet, "GET"},           {Op::kRead, "READ"},
    {Op::kRelease, "RELEASE"}, {Op::kRenew, "RENEW"},     {Op::kUnmapped, "UNMAPPED"}, {Op::kStat, "STAT"},
    {Op::kList, "LIST"},       {Op::kDelete, "DELETE"},   {Op::kPin, "PIN"},           {Op::kPing, "PING"},
    {Op::kExtents, "EXTENTS"}, {Op::kBatch, "BATCH"}};

using Asked = std::pair<Op, base::ByteWriter>;

// What each was answered with, once.
std::string AskAll(const RawClient& client, const std::vector<Asked>& all) {
  std::set<std::string> answers;
  for (const auto& [op, payload] : all) {
    const absl::Status status = client.Ask(op, payload).status();
    answers.insert(kNames.at(op) + " " + (status.ok() ? "OK" : base::Reason(status)));
  }
  return fmt::format("{}", fmt::join(answers, ", "));
}

void AddAllUnder(uint64_t lease, uint64_t epoch, std::vector<Asked>& all) {
  const auto both = [&] { return base::ByteWriter().U64(lease).U64(epoch); };
  all.emplace_back(Op::kWrite, both().U8(0).Raw(base::AsBytes("forged")));
  for (const uint8_t source : {1, 2}) all.emplace_back(Op::kWrite, both().U8(source).U64(0).U32(16));
  all.emplace_back(Op::kSeal, both().U64(0).U8(0));
  all.emplace_back(Op::kDiscard, both());
  // Lease 0 asks for a ring of its own.
  if (lease != 0) all.emplace_back(Op::kWindow, base::ByteWriter().U64(lease).U64(4096));
  all.emplace_back(Op::kExtents, base::ByteWriter().U64(lease).U32(0));
  all.emplace_back(Op::kRead, base::ByteWriter().U64(lease).U64(0).U32(16));
  all.emplace_back(Op::kRelease, base::ByteWriter().U64(lease));
}

// Each as an honest client sends it, under leases that it does not have.
std::vector<Asked> WholeRecords() {
  std::vector<Asked> all;
  AddAllUnder(1, 2, all);
  const CreationOptions impatient{.size_hint = 1000, .wait_ms = 0, .overwrite = true};
  all.emplace_back(Op::kCreate, CreationOf("mangled", impatient));
  all.emplace_back(Op::kPut, PutOf("mangled/put", base::AsBytes("some bytes"), impatient));
  all.emplace_back(Op::kGet, GetOf("mangled/put"));
  all.emplace_back(Op::kWindow, base::ByteWriter().U64(0).U64(8192));
  all.emplace_back(Op::kRenew, base::ByteWriter());
  all.emplace_back(Op::kUnmapped, base::ByteWriter().U64(1 << 20).U16(2).U32(1).U32(2));
  all.emplace_back(Op::kStat, base::ByteWriter().Str("mangled/put"));
  all.emplace_back(Op::kList, base::ByteWriter().Str("").Str("").U32(100));
  all.emplace_back(Op::kPin, base::ByteWriter().U8(1).Str("mangled/put"));
  all.emplace_back(Op::kDelete, base::ByteWriter().Str("mangled/put"));
  all.emplace_back(Op::kPing, base::ByteWriter());
  all.emplace_back(Op::kRevoke, base::ByteWriter().U16(1).U32(1));
  all.emplace_back(Op::kLapsed, base::ByteWriter().U16(1).U64(1));
  const base::ByteWriter get = GetOf("mangled/put");
  base::ByteWriter batch;
  batch.U16(2);
  for (int i = 0; i < 2; ++i) {
    batch.U16(static_cast<uint16_t>(Op::kGet)).U32(static_cast<uint32_t>(get.size())).Raw(get.bytes());
  }
  all.emplace_back(Op::kBatch, batch);
  return all;
}

// Makes of a whole record one that nobody would send.
class Mangler {
 public:
  explicit Mangler(unsigned seed) : random_(seed), whole_(WholeRecords()) {}
  std::vector<std::byte> Next() {
    const auto& [op, payload] = whole_.at(Below(whole_.size()));
    std::vector<std::byte> record = RecordOf(op, payload.bytes(), 1 + Below(1000));
    switch (Below(6)) {
      case 0:  // cut off, maybe within its header
        record.resize(1 + Below(record.size()));
        break;
      case 1:  // more than its length says
        record.resize(record.size() + 1 + Below(100));
        break;
      case 2:  // more than a record may be
        record.resize(kRecordLimit + Below(16 * 1024));
        break;
      case 3:  // another header: magic, version, operation, length, code
        Flip(record, kRecordHeader);
        break;
      case 4:  // other values
        for (int i = 0; i < 3; ++i) Flip(record, record.size());
        break;
      default:  // whole, and what rides with it is too much
        break;
    }
    return record;
  }
  size_t Below(size_t limit) { return random_() % limit; }

 private:
  void Flip(std::vector<std::byte>& record, size_t within) {
    record.at(Below(within)) ^= static_cast<std::byte>(1 + Below(255));
  }
  std::mt19937 random_;
  std::vector<Asked> whole_;
};

RawClient Fresh(const std::filesystem::path& socket_dir, const std::string& ns) {
  auto client = RawClient::Greeted(socket_dir, ns);
  if (!client.ok()) throw std::runtime_error(client.status().ToString());
  return *std::move(client);
}

// Whether the connection is still there when all that came before is answered.
bool StillServed(const RawClient& client) {
  if (!client.Send(Op::kPing, {}, kPingId).ok()) return false;
  while (true) {
    const auto record = client.Receive();
    if (!record.ok()) return false;
    if (record->id == kPingId) return true;
  }
}

}  // namespace

std::string UseForgedLeases(const RawClient& client, const Creating& others) {
  std::vector<Asked> all;
  for (const uint64_t lease : {others.lease, others.lease - 1, others.lease + 1, uint64_t{0}, UINT64_MAX}) {
    for (const uint64_t epoch : {others.epoch, others.epoch - 1, others.epoch + 1, uint64_t{0}, UINT64_MAX}) {
      AddAllUnder(lease, epoch, all);
    }
  }
  return AskAll(client, all);
}

std::string UseKey(const RawClient& client, const std::string& key) {
  base::ByteWriter batch;
  batch.U16(1).U16(static_cast<uint16_t>(Op::kStat)).U32(static_cast<uint32_t>(key.size() + 2)).Str(key);
  return AskAll(client, {{Op::kCreate, CreationOf(key, {.wait_ms = 0})},
                         {Op::kPut, PutOf(key, base::AsBytes("x"), {.wait_ms = 0})},
                         {Op::kGet, GetOf(key)},
                         {Op::kStat, base::ByteWriter().Str(key)},
                         {Op::kPin, base::ByteWriter().U8(1).Str(key)},
                         {Op::kDelete, base::ByteWriter().Str(key)}});
}

std::string SendMangled(const std::filesystem::path& socket_dir, const std::string& ns, unsigned seed, int rounds) {
  Mangler mangler(seed);
  int lost = 0;
  RawClient client = Fresh(socket_dir, ns);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<int> descriptors(mangler.Below(4) == 0 ? mangler.Below(kMostDescriptors + 1) : 0, client.fd());
    client.SendBytes(mangler.Next(), descriptors).IgnoreError();
    if (StillServed(client)) continue;
    ++lost;
    client = Fresh(socket_dir, ns);
  }
  return fmt::format("{} answered, {} connections lost", rounds - lost, lost);
}

}  // namespace larder::cache_agent
