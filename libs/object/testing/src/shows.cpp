#include "testing/src/shows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "larder/base/file.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/grains.h"
#include "larder/object/testing/test_node.h"

namespace larder::object {
namespace {

using base::IsOk;

constexpr uint64_t kPage = 4096;

// The rules of Extent, and what another process sees.
void ExpectSharesExactly(const BlobView& view, base::ByteSpan bytes) {
  const std::span<const Extent> extents = view.Shareable();
  if (extents.empty()) return;
  uint64_t at = 0;
  for (size_t i = 0; i < extents.size(); ++i) {
    const Extent& extent = extents[i];
    ASSERT_GT(extent.length, 0u);
    ASSERT_LE(extent.offset + extent.length, extent.memory->size());
    ASSERT_LE(at + extent.length, bytes.size());
    if (extents.size() > 1) {
      EXPECT_EQ(extent.offset % kPage, 0u) << "extent " << i;
    }
    if (i + 1 < extents.size()) {
      EXPECT_EQ(extent.length % kPage, 0u) << "extent " << i;
    }
    auto fd = extent.memory->OpenReadOnly();
    ASSERT_THAT(fd.status(), IsOk());
    const uint64_t size = extent.memory->size();
    EXPECT_EQ(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0), MAP_FAILED);
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd->get(), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_EQ(std::memcmp(static_cast<const std::byte*>(mapped) + extent.offset, bytes.data() + at, extent.length), 0)
        << "extent " << i;
    ::munmap(mapped, size);
    at += extent.length;
  }
  EXPECT_EQ(at, bytes.size());
}

}  // namespace

void ExpectShows(const BlobView& view, const std::vector<std::byte>& bytes) {
  EXPECT_EQ(view.size(), bytes.size());
  EXPECT_TRUE(BytesOf(view) == bytes);
  if (const auto whole = view.Bytes()) {
    EXPECT_TRUE(std::ranges::equal(*whole, bytes));
  }
  for (uint64_t at = 0; at < bytes.size();) {
    const base::ByteSpan here = view.MemoryAt(at);
    if (here.empty()) {
      EXPECT_EQ(at, 0u) << "memory holds all of it, or nothing";
      break;
    }
    ASSERT_LE(here.size(), bytes.size() - at);
    EXPECT_TRUE(std::ranges::equal(here, base::ByteSpan(bytes).subspan(at, here.size())));
    at += here.size();
  }
  if (const auto file = view.File()) {
    std::vector<std::byte> read(bytes.size());
    ASSERT_THAT(base::PreadAll(file->fd, read, file->offset), IsOk());
    EXPECT_TRUE(read == bytes);
  }
  GrainSums sums;
  sums.Append(bytes);
  EXPECT_THAT(view.grains(), testing::ElementsAreArray(sums.grains()));
  ExpectSharesExactly(view, bytes);
}

}  // namespace larder::object
