// Whole transfers between servers and fetchers, over loopback.
#include <fcntl.h>

#include "larder/base/file.h"
#include "larder/base/testing/temp_dir.h"
#include "tests/swarm_fixture.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::kKiB;
using base::kMiB;
using base::StatusIs;
using testing::ElementsAre;
using testing::Field;

FetchRequest RequestFor(const std::shared_ptr<Destination>& destination, std::vector<Parent> parents) {
  return {.id = kObject, .epoch = kEpoch, .parents = std::move(parents), .destination = destination};
}

constexpr uint32_t kPiece = 256 * kKiB;

class Sizes : public testing::TestWithParam<size_t> {};

TEST_P(Sizes, GoFromMemoryToMemory) {
  const std::string bytes = SomeBytes(GetParam());
  TestParent parent("node-a");
  parent.source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  const FetchResult result = child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)}));
  ASSERT_THAT(result.status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_TRUE(result.held.full());
  EXPECT_EQ(child.Value("larder_transfer_bytes_total{direction=\"in\""), bytes.size());
}

TEST_P(Sizes, GoFromAFile) {
  const std::string bytes = SomeBytes(GetParam());
  const base::TempDir dir;
  ASSERT_THAT(base::WriteFileAtomically(dir / "object", "header " + bytes), IsOk());
  TestParent parent("node-a");
  base::UniqueFd fd(::open((dir / "object").c_str(), O_RDONLY | O_CLOEXEC));
  parent.source.Add(kObject, kEpoch,
                    {.manifest = std::make_shared<const Manifest>(ManifestOf(bytes, kPiece)),
                     .bytes = BytesInFile(std::move(fd), 7)});
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, {parent.Offer(kObject, kEpoch)})).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
}

INSTANTIATE_TEST_SUITE_P(Bytes, Sizes,
                         testing::Values(size_t{0}, size_t{1}, size_t{kPiece} - 1, size_t{kPiece}, size_t{kPiece} + 1,
                                         size_t{kMiB}, size_t{10 * kMiB}, size_t{100 * kMiB}));

TEST(Loopback, SeveralParentsGiveOneObject) {
  const std::string bytes = SomeBytes(20 * kMiB);
  std::vector<std::unique_ptr<TestParent>> parents;
  std::vector<Parent> offers;
  for (int i = 0; i < 4; ++i) {
    parents.push_back(std::make_unique<TestParent>(fmt::format("node-{}", i)));
    parents.back()->source.Add(kObject, kEpoch, Sealed(bytes, kPiece));
    offers.push_back(parents.back()->Offer(kObject, kEpoch));
  }
  TestChild child;
  const auto destination = std::make_shared<TestDestination>();
  ASSERT_THAT(child.Run(RequestFor(destination, offers)).status, IsOk());
  EXPECT_TRUE(destination->bytes == bytes);
  EXPECT_EQ(child.Value("larder_transfer_pieces_total{result=\"ok\"}"), 80);
}

}  // namespace
}  // namespace larder::swarm
