#include "tests/swarm_fixture.h"

#include <random>
#include <sstream>

#include "larder/base/status.h"
#include "larder/object/grains.h"

namespace larder::swarm {

using base::IsOk;

std::string SomeBytes(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, size - at));
  }
  return bytes;
}

Manifest ManifestOf(std::string_view bytes, uint32_t piece_length) {
  object::GrainSums sums;
  sums.Append(base::AsBytes(bytes));
  return MakeManifest(sums.size(), sums.grains(), piece_length, {}).value();
}

uint64_t MetricValue(observe::Registry& registry, std::string_view metric) {
  std::istringstream lines(registry.Render());
  uint64_t sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(metric)) sum += std::stoull(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

void MemorySource::Add(const object::ObjectId& id, object::Epoch epoch, ServedObject object) {
  base::MutexLock lock(mutex_);
  objects_[id] = {epoch, std::move(object)};
}

void MemorySource::RefuseOnce(absl::Status why) {
  base::MutexLock lock(mutex_);
  refusal_ = std::move(why);
}

absl::StatusOr<ServedObject> MemorySource::Find(const object::ObjectId& id, object::Epoch epoch,
                                                uint32_t piece_length) {
  base::MutexLock lock(mutex_);
  LARDER_RETURN_IF_ERROR(std::exchange(refusal_, absl::OkStatus()));
  const auto found = objects_.find(id);
  if (found == objects_.end()) return base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "not here");
  if (found->second.first != epoch) return base::Error(absl::StatusCode::kAborted, "EPOCH_STALE", "another epoch");
  ServedObject object = found->second.second;
  if (piece_length == 0 || piece_length == object.manifest->piece_length) return object;
  const base::ByteSpan bytes = object.bytes->At(0, object.manifest->size).memory;
  object.manifest = std::make_shared<const Manifest>(ManifestOf(base::AsText(bytes), piece_length));
  return object;
}

void MemorySource::Doubt(const object::ObjectId&, object::Epoch, uint64_t offset, uint32_t) {
  base::MutexLock lock(mutex_);
  doubts_.push_back(offset);
  doubted_.NotifyAll();
}

std::optional<uint64_t> MemorySource::AwaitDoubt() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  base::MutexLock lock(mutex_);
  while (doubts_.empty() && doubted_.WaitUntil(mutex_, until)) {
  }
  if (doubts_.empty()) return std::nullopt;
  return doubts_.front();
}

uint64_t MemorySource::doubts() const {
  base::MutexLock lock(mutex_);
  return doubts_.size();
}

ServedObject SealedWith(const Manifest& manifest, const std::string& bytes) {
  const auto kept = std::make_shared<const std::string>(bytes);
  return {.manifest = std::make_shared<const Manifest>(manifest), .bytes = BytesInMemory(base::AsBytes(*kept), kept)};
}

ServedObject Sealed(const std::string& bytes, uint32_t piece_length) {
  return SealedWith(ManifestOf(bytes, piece_length), bytes);
}

absl::Status TestDestination::Prepare(const std::shared_ptr<const Manifest>& of, const std::shared_ptr<PieceMap>& map) {
  manifest = of;
  pieces = map;
  bytes.resize(of->size);
  for (uint64_t from = 0; !range_sizes.empty() && from < of->size;) {
    const uint64_t size = std::min(range_sizes[ranges_.size() % range_sizes.size()], of->size - from);
    ranges_.emplace(from, std::string(size, '\0'));
    from += size;
  }
  if (prepared) prepared();
  return absl::OkStatus();
}

base::MutableByteSpan TestDestination::At(uint64_t offset, uint64_t size) {
  if (!ranges_.empty()) {
    auto& [from, range] = *std::prev(ranges_.upper_bound(offset));
    const base::MutableByteSpan rest = std::as_writable_bytes(std::span(range)).subspan(offset - from);
    return rest.first(std::min(size, rest.size()));
  }
  return std::as_writable_bytes(std::span(bytes)).subspan(offset, size);
}

absl::Status TestDestination::Verified(uint32_t piece) {
  verified.push_back(piece);
  uint64_t at = manifest->OffsetOf(piece);
  const uint64_t end = at + manifest->SizeOf(piece);
  while (!ranges_.empty() && at < end) {
    const base::ByteSpan part = At(at, end - at);
    bytes.replace(at, part.size(), base::AsText(part));
    at += part.size();
  }
  if (on_verified) on_verified(piece);
  return absl::OkStatus();
}

TestParent::TestParent(std::string node_name, PieceServerOptions options) : node(std::move(node_name)) {
  EXPECT_THAT(tickets.SetKeys({{.id = 1, .secret = {1, 2, 3}}}), IsOk());
  options.listen = "127.0.0.1:0";
  auto started = PieceServer::Start(
      options, {.source = source, .tickets = tickets, .limiter = limiter, .metrics = metrics, .clock = clock});
  EXPECT_THAT(started, IsOk());
  server = *std::move(started);
  server->SetNodeEpoch(kNodeEpoch);
}

Parent TestParent::Offer(const object::ObjectId& id, object::Epoch epoch) const {
  const PieceTicket ticket{.id = id,
                           .epoch = epoch,
                           .child = "child",
                           .parent = kNodeEpoch,
                           .expiry = clock.WallNow() + std::chrono::hours(1)};
  return {.node = node, .node_epoch = kNodeEpoch, .address = server->address(), .ticket = tickets.Sign(ticket).value()};
}

TestChild::TestChild(FetcherOptions options) {
  auto started = Fetcher::Start(options, metrics, clock);
  EXPECT_THAT(started, IsOk());
  fetcher = *std::move(started);
}

std::shared_ptr<Fetch> TestChild::Begin(FetchRequest request) {
  return fetcher->Begin(std::move(request), {.done =
                                                 [this](FetchResult ended) {
                                                   base::MutexLock lock(mutex);
                                                   ended.status = base::Detached(ended.status);
                                                   result = std::move(ended);
                                                   changed.NotifyAll();
                                                 },
                                             .failed =
                                                 [this](const ParentFailure& failure) {
                                                   base::MutexLock lock(mutex);
                                                   failures.push_back(failure);
                                                   failures.back().why = base::Detached(failure.why);
                                                   changed.NotifyAll();
                                                 }});
}

FetchResult TestChild::Await() {
  base::MutexLock lock(mutex);
  while (!result) changed.Wait(mutex);
  return *std::exchange(result, std::nullopt);
}

FetchResult TestChild::Run(FetchRequest request) {
  const auto fetch = Begin(std::move(request));
  return Await();
}

}  // namespace larder::swarm
