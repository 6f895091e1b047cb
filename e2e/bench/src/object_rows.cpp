// Objects that fit, one at a time.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <span>
#include <vector>

#include "src/rows.h"

namespace larder::bench {
namespace {

constexpr char kArena[] = "4GiB";
constexpr uint64_t kRivalMemory = 4096;  // MiB

struct Parties {
  Agent& agent;
  Redis& redis;
  Store& memcached;
  Nginx& nginx;
};

// What a program without the agent's warm memory does: a new memfd for each object.
void NaivePut(const char* bytes, uint64_t size) {
  const int fd = ::memfd_create("naive", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0) Die("memfd");
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  std::memcpy(at, bytes, size);
  ::munmap(at, size);
  ::close(fd);
}

void CopyOf(const char* bytes, char* out, uint64_t size) {
  std::memcpy(out, bytes, size);
  Keep(static_cast<uint64_t>(out[77]));
}

// The same object everywhere.
void StoreAll(Bench& bench, const Parties& parties, const std::string& key, const std::vector<char>& bytes) {
  parties.agent.PutInPlace(key, bytes.data(), bytes.size());
  parties.redis.Set(key, bytes.data(), bytes.size());
  parties.memcached.Set(key, bytes.data(), bytes.size());
  std::ofstream(bench.tmpfs + "/" + key).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void SmallRows(Bench& bench, const Parties& parties) {
  auto& [agent, redis, memcached, nginx] = parties;
  std::vector<char> bytes(kKiB, 'x'), out(kKiB);
  StoreAll(bench, parties, "1k", bytes);
  StoreAll(bench, parties, "1m", std::vector<char>(kMiB, 'x'));
  const auto timings =
      bench.watch.InTurn(2000, {
                                   {[&] { bench.watch.Exchange(64); }},
                                   {[&] { agent.Get("1m"); }},
                                   {[&] { Keep(SumOf(*agent.Get("1k"))); }},
                                   {[&] { redis.Get("1k", out.data()), Keep(Sum(out.data(), kKiB)); }},
                                   {[&] { memcached.Get("1k", out.data()), Keep(Sum(out.data(), kKiB)); }},
                                   {[&] { agent.Put("p1k", bytes.data(), kKiB); }},
                                   {[&] { redis.Set("p1k", bytes.data(), kKiB); }},
                                   {[&] { memcached.Set("p1k", bytes.data(), kKiB); }},
                               });
  bench.report.Add("agent.get_handle", "get, handle of 1 MiB", timings[1], {{"ping-pong", timings[0]}});
  bench.report.Add("agent.get_1k_inline", "get 1 KiB, inline", timings[2],
                   {{"ping-pong", timings[0]}, {"redis", timings[3]}, {"memcached", timings[4]}});
  bench.report.Add("agent.put_1k_inline", "put 1 KiB, inline", timings[5],
                   {{"ping-pong", timings[0]}, {"redis", timings[6]}, {"memcached", timings[7]}});
}

void MiddleRows(Bench& bench, const Parties& parties) {
  auto& [agent, redis, memcached, nginx] = parties;
  std::vector<char> bytes(kMiB, 'x'), out(kMiB);
  StoreAll(bench, parties, "1m", bytes);
  const auto timings =
      bench.watch.InTurn(200, {
                                  {[&] { agent.PutInPlace("p1m", bytes.data(), kMiB); }},
                                  {[&] { NaivePut(bytes.data(), kMiB); }},
                                  {[&] { redis.Set("p1m", bytes.data(), kMiB); }},
                                  {[&] { memcached.Set("p1m", bytes.data(), kMiB); }},
                                  {[&] { Keep(SumOf(*agent.Get("1m"))); }},
                                  {[&] { redis.Get("1m", out.data()), Keep(Sum(out.data(), kMiB)); }},
                                  {[&] { memcached.Get("1m", out.data()), Keep(Sum(out.data(), kMiB)); }},
                                  {[&] { nginx.Get("1m", out.data()), Keep(Sum(out.data(), kMiB)); }},
                                  {[&] { CopyOf(bytes.data(), out.data(), kMiB); }},
                              });
  bench.report.Add(
      "agent.put_1m", "put 1 MiB", timings[0],
      {{"naive memfd", timings[1]}, {"redis", timings[2]}, {"memcached", timings[3]}, {"memcpy", timings[8]}});
  bench.report.Add("agent.get_1m_read", "get 1 MiB, read all", timings[4],
                   {{"redis", timings[5]}, {"memcached", timings[6]}, {"nginx", timings[7]}});
}

void LargeRows(Bench& bench, const Parties& parties) {
  auto& [agent, redis, memcached, nginx] = parties;
  const uint64_t size = 64 * kMiB;
  std::vector<char> bytes(size, 'x'), out(size);
  StoreAll(bench, parties, "64m", bytes);
  const auto timings =
      bench.watch.InTurn(5, {
                                {[&] { Keep(SumOf(*agent.Get("64m"))); }},
                                {[&] { redis.Get("64m", out.data()), Keep(Sum(out.data(), size)); }},
                                {[&] { memcached.Get("64m", out.data()), Keep(Sum(out.data(), size)); }},
                                {[&] { nginx.Get("64m", out.data()), Keep(Sum(out.data(), size)); }},
                                {[&] { Must(agent.Get("64m")->Read(0, std::as_writable_bytes(std::span(out)))); }},
                                {[&] { redis.Get("64m", out.data()); }},
                                {[&] { memcached.Get("64m", out.data()); }},
                                {[&] { agent.PutInPlace("p64m", bytes.data(), size); }},
                                {[&] { redis.Set("p64m", bytes.data(), size); }},
                                {[&] { memcached.Set("p64m", bytes.data(), size); }},
                                {[&] { CopyOf(bytes.data(), out.data(), size); }},
                            });
  bench.report.Add("agent.get_64m_read", "get 64 MiB, read all", timings[0],
                   {{"redis", timings[1]}, {"memcached", timings[2]}, {"nginx", timings[3]}});
  bench.report.Add("agent.get_64m_copied", "get 64 MiB, copied out", timings[4],
                   {{"redis", timings[5]}, {"memcached", timings[6]}, {"memcpy", timings[10]}});
  bench.report.Add("agent.put_64m", "put 64 MiB", timings[7],
                   {{"redis", timings[8]}, {"memcached", timings[9]}, {"memcpy", timings[10]}});
}

}  // namespace

void ObjectRows(Bench& bench) {
  Agent agent(bench.dir + "/objects", kArena);
  Redis redis(bench.dir, kRivalMemory);
  const auto memcached = StartMemcached(bench.dir, kRivalMemory);
  Nginx nginx(bench.dir, bench.tmpfs);
  const Parties parties{agent, redis, *memcached, nginx};
  SmallRows(bench, parties);
  MiddleRows(bench, parties);
  LargeRows(bench, parties);
}

void HugeRows(Bench& bench) {
  Agent agent(bench.dir + "/huge", kArena);
  std::vector<char> bytes(kGiB, 'x'), out(kGiB);
  agent.PutInPlace("1g", bytes.data(), kGiB);
  const auto timings = bench.watch.InTurn(1, {
                                                 {.run = [&] { agent.PutInPlace("1g", bytes.data(), kGiB); },
                                                  .before = [&] { Must(agent.client().Delete("1g")); }},
                                                 {[&] { CopyOf(bytes.data(), out.data(), kGiB); }},
                                                 {[&] { Keep(SumOf(*agent.Get("1g"))); }},
                                                 {[&] { Keep(Sum(bytes.data(), kGiB)); }},
                                             });
  bench.report.Add("agent.put_1g", "put 1 GiB", timings[0], {{"memcpy", timings[1]}});
  bench.report.Add("agent.get_1g_read", "get 1 GiB, read all", timings[2], {{"sum of private memory", timings[3]}});
}

}  // namespace larder::bench
