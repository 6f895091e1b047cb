// Many small objects at once.
#include <fmt/format.h>

#include <span>

#include "src/rows.h"

namespace larder::bench {
namespace {

constexpr size_t kCount = 1000;
constexpr uint64_t kSize = 4 * kKiB;

}  // namespace

void BatchRows(Bench& bench) {
  Agent agent(bench.dir + "/batch", "256MiB");
  Redis redis(bench.dir + "/batch", 256);
  const std::vector<char> bytes(kSize, 'x');
  std::vector<char> out(kCount * kSize);
  std::vector<std::string> keys;
  std::vector<object::PutRequest> puts;
  for (size_t i = 0; i < kCount; ++i) {
    keys.push_back(fmt::format("batch/{}", i));
    puts.push_back({.request = {.key = keys.back(), .overwrite = true}, .bytes = std::as_bytes(std::span(bytes))});
  }
  const auto timings =
      bench.watch.InTurn(10, {
                                 {[&] {
                                   for (const auto& put : agent.client().PutMany(puts)) Must(put.status());
                                 }},
                                 {[&] { redis.SetMany(keys, bytes.data(), kSize); }},
                                 {[&] {
                                   for (const std::string& key : keys) agent.Put(key, bytes.data(), kSize);
                                 }},
                                 {[&] {
                                   uint64_t sum = 0;
                                   for (auto& got : agent.client().GetMany(keys)) sum += SumOf(*Must(std::move(got)));
                                   Keep(sum);
                                 }},
                                 {[&] { redis.GetMany(keys, out.data()), Keep(Sum(out.data(), out.size())); }},
                                 {[&] {
                                   uint64_t sum = 0;
                                   for (const std::string& key : keys) sum += SumOf(*agent.Get(key));
                                   Keep(sum);
                                 }},
                             });
  bench.report.Add("agent.create_many_1000x4k", "create_many of 1000 x 4 KiB", timings[0],
                   {{"redis MSET", timings[1]}, {"one by one", timings[2]}});
  bench.report.Add("agent.get_many_1000x4k", "get_many of 1000 x 4 KiB", timings[3],
                   {{"redis MGET", timings[4]}, {"one by one", timings[5]}});
}

}  // namespace larder::bench
