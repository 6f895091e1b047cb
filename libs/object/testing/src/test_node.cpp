#include "larder/object/testing/test_node.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <utility>

#include "larder/base/testing/status_matchers.h"

namespace larder::object {
namespace {

template <typename T>
T Need(absl::StatusOr<T> made) {
  if (!made.ok()) throw std::runtime_error(base::Message(made.status()));
  return *std::move(made);
}

}  // namespace

TestNode::TestNode(BackendEntry entry) : TestNode(std::move(entry), Options()) {}

TestNode::TestNode(BackendEntry entry, const Options& options)
    : entry_(std::move(entry)),
      options_(options),
      arena_(Need(arena::Arena::Create({.size = options.arena_bytes, .slab_size = options.slab_bytes}))) {
  Restart();
}

void TestNode::Restart() {
  backend_.reset();
  backend_ = Need(entry_.make(
      {.path = (dir_ / "data").string(), .max_bytes = options_.max_bytes, .clock = &clock_, .arena = arena_.get()}));
}

uint64_t TestNode::Used() {
  arena_->Maintain();
  return backend_->usage().used;
}

std::vector<std::byte> SampleBytes(uint64_t size, uint64_t seed) {
  std::vector<std::byte> bytes(size);
  uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;  // SplitMix64
  for (uint64_t at = 0; at < size; at += sizeof state) {
    uint64_t value = state += 0x9E3779B97F4A7C15;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
    value ^= value >> 31;
    std::memcpy(bytes.data() + at, &value, std::min<uint64_t>(sizeof value, size - at));
  }
  return bytes;
}

std::vector<std::byte> BytesOf(const BlobView& view) {
  std::vector<std::byte> bytes(view.size());
  const absl::Status read = view.Read(0, bytes);
  EXPECT_THAT(read, base::IsOk());
  if (!read.ok()) bytes.clear();
  return bytes;
}

}  // namespace larder::object
