// ./scripts/bench swarm: an object from one node's pieces to another's memory over TCP on loopback, beside nginx with
// sendfile in the same run. Who serves runs on CPU 0, who fetches on CPU 1.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/mutex.h"
#include "larder/base/sockets.h"
#include "larder/object/grains.h"
#include "larder/swarm/fetch.h"
#include "larder/swarm/piece_server.h"
#include "src/measure.h"
#include "src/must.h"
#include "src/report.h"
#include "src/rivals.h"
#include "src/scratch_dir.h"
#include "src/server.h"
#include "src/swarm/rows.h"

namespace larder::bench {
namespace {

constexpr uint64_t kSize = 256ull << 20;
constexpr int kCount = 3;  // transfers of each in a round
constexpr char kServeFlag[] = "--serve";
constexpr char kUsage[] = "usage: bench_swarm [--json FILE] [pieces|readers|join|memory]…\n";
const swarm::NodeEpoch kNodeEpoch{1};
const object::Epoch kEpoch{1};

void SetKeys(swarm::TicketSigner& signer) { Must(signer.SetKeys({{.id = 1}})); }

// The one object, once in memory and once in its file.
class OneObject final : public swarm::PieceSource {
 public:
  explicit OneObject(const std::string& path)
      : bytes_(std::make_shared<std::string>(Must(base::ReadFile(path, kSize)))) {
    object::GrainSums sums;
    sums.Append(base::AsBytes(*bytes_));
    manifest_ = std::make_shared<const swarm::Manifest>(Must(swarm::MakeManifest(sums.size(), sums.grains(), 0, {})));
    file_ = swarm::BytesInFile(base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), 0);
  }
  absl::StatusOr<swarm::ServedObject> Find(const object::ObjectId& id, object::Epoch, uint32_t) override {
    return swarm::ServedObject{
        .manifest = manifest_,
        .bytes = id.key == "file" ? file_ : swarm::BytesInMemory(base::AsBytes(*bytes_), bytes_)};
  }

  void Doubt(const object::ObjectId&, object::Epoch, uint64_t, uint32_t) override {
    Die("the child doubts what it got");
  }

 private:
  const std::shared_ptr<const std::string> bytes_;
  std::shared_ptr<const swarm::Manifest> manifest_;
  std::shared_ptr<const swarm::PieceBytes> file_;
};

// The parent's process: serves the object in `path` at `address` until it is killed.
void Serve(const std::string& path, const std::string& address) {
  OneObject object(path);
  swarm::TicketSigner signer;
  SetKeys(signer);
  swarm::RateLimiter limiter;
  observe::Registry registry;
  swarm::Metrics metrics(registry);
  const base::SystemClock clock;
  const auto server = Must(swarm::PieceServer::Start(
      {.listen = address},
      {.source = object, .tickets = signer, .limiter = limiter, .metrics = metrics, .clock = clock}));
  server->SetNodeEpoch(kNodeEpoch);
  while (true) ::pause();
}

// The child, in this process.
class Child {
 public:
  explicit Child(std::string address) : address_(std::move(address)), memory_(kSize) {
    SetKeys(signer_);
    fetcher_ = Must(swarm::Fetcher::Start({}, metrics_, clock_));
  }

  void Fetch(const std::string& key) {
    const object::ObjectId id{"bench", key};
    const swarm::PieceTicket ticket{.id = id,
                                    .epoch = kEpoch,
                                    .child = "child",
                                    .parent = kNodeEpoch,
                                    .expiry = clock_.WallNow() + std::chrono::hours(1)};
    swarm::FetchRequest request{.id = id, .epoch = kEpoch};
    request.parents = {
        {.node = "parent", .node_epoch = kNodeEpoch, .address = address_, .ticket = Must(signer_.Sign(ticket))}};
    request.destination = std::make_shared<swarm::MemoryDestination>(memory_);
    const auto fetch = fetcher_->Begin(std::move(request), {.done = [this](const swarm::FetchResult& result) {
                                         base::MutexLock lock(mutex_);
                                         status_ = result.status;
                                         done_ = true;
                                         changed_.NotifyAll();
                                       }});
    base::MutexLock lock(mutex_);
    while (!std::exchange(done_, false)) changed_.Wait(mutex_);
    Must(status_);
  }

 private:
  const std::string address_;
  std::vector<std::byte> memory_;
  const base::SystemClock clock_;
  swarm::TicketSigner signer_;
  observe::Registry registry_;
  swarm::Metrics metrics_{registry_};
  base::Mutex mutex_;
  base::CondVar changed_;
  bool done_ LARDER_GUARDED_BY(mutex_) = false;
  absl::Status status_ LARDER_GUARDED_BY(mutex_);
  std::unique_ptr<swarm::Fetcher> fetcher_;
};

// A port of 127.0.0.1 that was free a moment ago.
std::string FreeAddress() {
  const base::UniqueFd listener = Must(base::ListenOn("127.0.0.1:0"));
  return Must(base::LocalAddress(listener.get()));
}

std::function<bool()> Listens(const std::string& address) {
  return [address] {
    const size_t colon = address.find(':');
    return base::UniqueFd(
               ConnectTcp(address.substr(0, colon), static_cast<uint16_t>(std::stoi(address.substr(colon + 1)))))
        .valid();
  };
}

// As little of a client as can be: the bytes go nowhere.
void BareGet(const std::string& address) {
  const size_t colon = address.find(':');
  const base::UniqueFd fd(
      ConnectTcp(address.substr(0, colon), static_cast<uint16_t>(std::stoi(address.substr(colon + 1)))));
  const std::string request = "GET /object HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), 0) != static_cast<ssize_t>(request.size())) Die("nginx is gone");
  std::vector<char> buffer(256 << 10);
  uint64_t received = 0;
  for (ssize_t size = 0; (size = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    received += static_cast<uint64_t>(size);
  }
  if (received < kSize) Die("nginx sent too little");
}

void AddPieceRows(Report& report) {
  PinTo(kClientCpu);
  const ScratchDir sockets("/tmp/larder-bench.XXXXXX");
  const ScratchDir files("/dev/shm/larder-bench.XXXXXX");
  const std::string path = files.path() + "/object";
  std::string bytes(kSize, '\0');
  for (uint64_t i = 0; i < kSize; i += 8) bytes[i] = static_cast<char>(i >> 3 ^ i >> 11 ^ i >> 19);
  std::ofstream(path, std::ios::binary) << bytes;

  const std::string address = FreeAddress();
  const Server parent({ProgramPath("bench_swarm"), kServeFlag, path, address}, kServerCpu, Listens(address));
  const std::string nginx_address = FreeAddress();
  const std::string config = WriteNginxConfig(sockets.path(), files.path(), nginx_address);
  const Server nginx({"nginx", "-p", sockets.path(), "-c", config}, kServerCpu, Listens(nginx_address));
  Child child(address);
  Stopwatch watch;
  const auto timings =
      watch.InTurn(kCount, {{[&] { child.Fetch("memory"); }},
                            {[&] { child.Fetch("file"); }},
                            {[&] {
                              RunToEnd({"curl", "-s", "-o", "/dev/null", "http://" + nginx_address + "/object"});
                            }},
                            {[&] { BareGet(nginx_address); }}});
  const std::map<std::string, Timing> rivals = {{"nginx to curl", timings[2]}, {"nginx to recv", timings[3]}};
  report.Add("swarm.parent_to_child", "256 MiB, parent to child, kept and verified", timings[0], rivals);
  report.Add("swarm.parent_to_child_file", "256 MiB, parent's file to child, kept and verified", timings[1], rivals);
  Unpin();
}

struct Part {
  std::string_view name;
  void (*measure)(Report&);
};
constexpr Part kParts[] = {
    {"pieces", AddPieceRows}, {"readers", AddNodeRows}, {"join", AddJoinRows}, {"memory", AddMemoryRows}};

void Measure(const std::vector<Part>& parts, const std::string& json) {
  Report report;
  for (const Part& part : parts) {
    std::fprintf(stderr, "bench: %s\n", part.name.data());  // only the table goes to stdout
    part.measure(report);
  }
  report.Print();
  if (!json.empty() && !report.WriteJson(json)) Die("cannot write " + json);
}

int Run(int argc, char** argv) {
  std::string json;
  std::vector<Part> parts;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto* part = std::ranges::find(kParts, argument, &Part::name);
    if (part != std::end(kParts)) {
      parts.push_back(*part);
    } else if (argument == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else if (argument == kServeFlag && i + 2 < argc) {
      Serve(argv[i + 1], argv[i + 2]);
    } else {
      std::fputs(kUsage, stderr);
      return argument == "--help" ? 0 : 2;
    }
  }
  if (parts.empty()) parts.assign(std::begin(kParts), std::end(kParts));
  Measure(parts, json);
  return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) { return larder::bench::RunMain(larder::bench::Run, argc, argv); }
