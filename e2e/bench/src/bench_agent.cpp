// ./scripts/bench agent: a pod's way to its node's agent, beside rivals over Unix sockets in the same run. The server
// of each runs on CPU 0, the client on CPU 1; readers add up every byte.
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "larder/base/status.h"
#include "larder/client/client.h"
#include "src/measure.h"
#include "src/rivals.h"
#include "src/server.h"

namespace larder::bench {
namespace {

constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(base::Message(result.status()));
  return *std::move(result);
}
void Must(const absl::Status& status) {
  if (!status.ok()) Die(base::Message(status));
}

// The agent under test and a client of it.
class Agent {
 public:
  Agent(const std::string& binary, const std::string& dir, const std::string& arena)
      : endpoint_("uds://" + dir),
        server_({binary, "--socket-dir", dir, "--arena", arena, "--identity", "open", "--listen-admin", "127.0.0.1:0"},
                dir + "/data.sock", SOCK_SEQPACKET),
        client_(Must(client::Client::Connect(endpoint_))) {}
  client::Client& client() { return *client_; }
  const std::string& endpoint() const { return endpoint_; }

  void Put(const std::string& key, const char* bytes, uint64_t size) {
    Must(client_->Put({.key = key, .overwrite = true}, std::as_bytes(std::span(bytes, size))));
  }
  // In place: the bytes are made where the agent takes them from.
  void PutInPlace(const std::string& key, const char* bytes, uint64_t size) {
    auto writer = Must(client_->Create({.key = key, .size_hint = size, .overwrite = true}));
    for (uint64_t at = 0; at < size;) {
      const auto to = Must(writer->Prepare(size - at));
      std::memcpy(to.data(), bytes + at, to.size());
      Must(writer->Commit(to.size()));
      at += to.size();
    }
    Must(writer->Seal({}));
  }
  std::unique_ptr<object::ObjectReader> Get(const std::string& key) { return Must(client_->Get(key)); }

 private:
  std::string endpoint_;
  Server server_;
  std::unique_ptr<client::Client> client_;
};

uint64_t SumOf(object::ObjectReader& reader) {
  const auto bytes = reader.Bytes();
  if (!bytes) Die("the agent streams what it should share");
  return Sum(bytes->data(), bytes->size());
}

// What a program without the agent's warm memory does: a new memfd for each object.
void NaivePut(const char* bytes, uint64_t size) {
  const int fd = ::memfd_create("naive", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0) Die("memfd");
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  std::memcpy(at, bytes, size);
  ::munmap(at, size);
  ::close(fd);
}

void Small(Report& report, Agent& agent, Store& redis, Store& memcached, PingPong& ping) {
  std::vector<char> bytes(kKiB, 'x'), out(kKiB);
  agent.Put("1k", bytes.data(), kKiB);
  agent.Put("1m", std::vector<char>(kMiB, 'x').data(), kMiB);
  redis.Set("1k", bytes.data(), kKiB);
  memcached.Set("1k", bytes.data(), kKiB);
  auto timings = MeasureInTurn(2000, {
                                         [&] { ping.Exchange(64); },
                                         [&] { agent.Get("1m"); },
                                         [&] { Keep(SumOf(*agent.Get("1k"))); },
                                         [&] { redis.Get("1k", out.data()), Keep(Sum(out.data(), kKiB)); },
                                         [&] { memcached.Get("1k", out.data()), Keep(Sum(out.data(), kKiB)); },
                                         [&] { agent.Put("p1k", bytes.data(), kKiB); },
                                         [&] { redis.Set("p1k", bytes.data(), kKiB); },
                                         [&] { memcached.Set("p1k", bytes.data(), kKiB); },
                                     });
  report.Add("agent.get_handle", "get, handle of 1 MiB", timings[1], {{"ping-pong", timings[0]}});
  report.Add("agent.get_1k_inline", "get 1 KiB, inline", timings[2],
             {{"ping-pong", timings[0]}, {"redis", timings[3]}, {"memcached", timings[4]}});
  report.Add("agent.put_1k_inline", "put 1 KiB, inline", timings[5],
             {{"ping-pong", timings[0]}, {"redis", timings[6]}, {"memcached", timings[7]}});
}

void Middle(Report& report, Agent& agent, Store& redis, Store& memcached) {
  std::vector<char> bytes(kMiB, 'x'), out(kMiB);
  agent.Put("1m", bytes.data(), kMiB);
  redis.Set("1m", bytes.data(), kMiB);
  memcached.Set("1m", bytes.data(), kMiB);
  auto timings =
      MeasureInTurn(200, {
                             [&] { agent.PutInPlace("p1m", bytes.data(), kMiB); },
                             [&] { NaivePut(bytes.data(), kMiB); },
                             [&] { redis.Set("p1m", bytes.data(), kMiB); },
                             [&] { memcached.Set("p1m", bytes.data(), kMiB); },
                             [&] { Keep(SumOf(*agent.Get("1m"))); },
                             [&] { redis.Get("1m", out.data()), Keep(Sum(out.data(), kMiB)); },
                             [&] { memcached.Get("1m", out.data()), Keep(Sum(out.data(), kMiB)); },
                             [&] { std::memcpy(out.data(), bytes.data(), kMiB), Keep(static_cast<uint64_t>(out[77])); },
                         });
  report.Add("agent.put_1m", "put 1 MiB", timings[0],
             {{"naive memfd", timings[1]}, {"redis", timings[2]}, {"memcached", timings[3]}, {"memcpy", timings[7]}});
  report.Add("agent.get_1m_read", "get 1 MiB, read all", timings[4],
             {{"redis", timings[5]}, {"memcached", timings[6]}});
}

void Large(Report& report, Agent& agent, Store& redis, Store& memcached) {
  const uint64_t size = 64 * kMiB;
  std::vector<char> bytes(size, 'x'), out(size);
  agent.PutInPlace("64m", bytes.data(), size);
  redis.Set("64m", bytes.data(), size);
  memcached.Set("64m", bytes.data(), size);
  auto timings =
      MeasureInTurn(5, {
                           [&] { Keep(SumOf(*agent.Get("64m"))); },
                           [&] { redis.Get("64m", out.data()), Keep(Sum(out.data(), size)); },
                           [&] { memcached.Get("64m", out.data()), Keep(Sum(out.data(), size)); },
                           [&] { Must(agent.Get("64m")->Read(0, std::as_writable_bytes(std::span(out)))); },
                           [&] { redis.Get("64m", out.data()); },
                           [&] { memcached.Get("64m", out.data()); },
                           [&] { agent.PutInPlace("p64m", bytes.data(), size); },
                           [&] { redis.Set("p64m", bytes.data(), size); },
                           [&] { memcached.Set("p64m", bytes.data(), size); },
                           [&] { std::memcpy(out.data(), bytes.data(), size), Keep(static_cast<uint64_t>(out[77])); },
                       });
  report.Add("agent.get_64m_read", "get 64 MiB, read all", timings[0],
             {{"redis", timings[1]}, {"memcached", timings[2]}});
  report.Add("agent.get_64m_copied", "get 64 MiB, copied out", timings[3],
             {{"redis", timings[4]}, {"memcached", timings[5]}, {"memcpy", timings[9]}});
  report.Add("agent.put_64m", "put 64 MiB", timings[6],
             {{"redis", timings[7]}, {"memcached", timings[8]}, {"memcpy", timings[9]}});
}

void Huge(Report& report, Agent& agent) {
  std::vector<char> bytes(kGiB, 'x'), out(kGiB);
  agent.PutInPlace("1g", bytes.data(), kGiB);
  auto timings =
      MeasureInTurn(1, {
                           [&] {
                             Must(agent.client().Delete("1g"));
                             agent.PutInPlace("1g", bytes.data(), kGiB);
                           },
                           [&] { std::memcpy(out.data(), bytes.data(), kGiB), Keep(static_cast<uint64_t>(out[77])); },
                           [&] { Keep(SumOf(*agent.Get("1g"))); },
                           [&] { Keep(Sum(bytes.data(), kGiB)); },
                       });
  report.Add("agent.put_1g", "put 1 GiB", timings[0], {{"memcpy", timings[1]}});
  report.Add("agent.get_1g_read", "get 1 GiB, read all", timings[2], {{"sum of private memory", timings[3]}});
}

// From the SIGKILL of a creator to the moment that its key is another's.
void Reclaim(Report& report, Agent& agent) {
  std::vector<double> samples;
  for (int i = 0; i < 100; ++i) {
    int ready[2];
    if (::pipe(ready) != 0) Die("pipe");
    const pid_t victim = ::fork();
    if (victim == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto client = Must(client::Client::Connect(agent.endpoint()));
      auto writer = Must(client->Create({.key = "victim"}));
      const std::vector<std::byte> bytes(2 * kMiB);
      Must(writer->Write(bytes));
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char byte = 0;
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) Die("a victim did not get its lease");
    ::close(ready[0]);
    const auto begin = std::chrono::steady_clock::now();
    ::kill(victim, SIGKILL);
    auto writer = Must(agent.client().Create({.key = "victim"}));
    samples.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    ::waitpid(victim, nullptr, 0);
    Must(writer->Discard());
  }
  report.Add("agent.dead_creator_reclaim", "dead creator to key free, p99", {.p50 = Percentile(samples, 0.99)},
             {{"p50 of it", {.p50 = Percentile(samples, 0.5)}}});
}

int Run(int argc, char** argv) {
  std::string json;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else {
      std::fprintf(stderr, "usage: bench_agent [--json FILE]\n");
      return std::string_view(argv[i]) == "--help" ? 0 : 2;
    }
  }
  char pattern[] = "/tmp/larder-bench.XXXXXX";
  const std::string dir = ::mkdtemp(pattern);
  PinTo(kClientCpu);
  Report report;
  {
    const std::string binary = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "larder-agent";
    Agent agent(binary, dir, "4GiB");
    PingPong ping;
    auto redis = StartRedis(dir);
    auto memcached = StartMemcached(dir);
    Small(report, agent, *redis, *memcached, ping);
    Middle(report, agent, *redis, *memcached);
    Large(report, agent, *redis, *memcached);
    redis.reset();
    memcached.reset();
    Huge(report, agent);
    Reclaim(report, agent);
  }
  std::filesystem::remove_all(dir);
  report.Print();
  if (!json.empty() && !report.WriteJson(json)) Die("cannot write " + json);
  return 0;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) { return larder::bench::Run(argc, argv); }
