#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/units.h"
#include "larder/object/testing/test_node.h"
#include "larder/object/testing/transport_contract.h"

// What every transport keeps of many objects at once.
namespace larder::object {

void LinkManyRules() {}

namespace {

using base::IsOk;
using base::StatusIs;

std::vector<std::string> KeysOf(const std::vector<PutRequest>& puts) {
  std::vector<std::string> keys;
  for (const PutRequest& put : puts) keys.push_back(put.request.key);
  return keys;
}

}  // namespace

TEST_P(TransportContract, ManyObjectsOfAllSizesComeBackInTheOrderAsked) {
  auto author = Dial();
  auto reader = Dial();
  std::vector<std::vector<std::byte>> contents;
  for (const uint64_t size : {0, 1, 4096, 65536, 65537, 40'000, 40'001, 300'001, 1'048'577, 0, 7}) {
    contents.push_back(SampleBytes(size, size + contents.size()));
  }
  std::vector<PutRequest> puts;
  for (const auto& bytes : contents) {
    puts.push_back({.request = {.key = fmt::format("many/{}", puts.size())}, .bytes = bytes});
  }
  const auto sealed = author->PutMany(puts, base::kNoDeadline);
  ASSERT_EQ(sealed.size(), puts.size());
  for (size_t i = 0; i < puts.size(); ++i) {
    ASSERT_THAT(sealed[i].status(), IsOk()) << i;
    EXPECT_EQ(sealed[i]->info.id, (ObjectId{"default", puts[i].request.key}));
    EXPECT_EQ(sealed[i]->info.size, contents[i].size());
  }
  std::vector<std::string> keys = KeysOf(puts);
  std::ranges::reverse(keys);
  const auto readers = reader->GetMany(keys, base::kNoDeadline);
  ASSERT_EQ(readers.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_THAT(readers[i].status(), IsOk()) << i;
    EXPECT_EQ((*readers[i])->info().id, (ObjectId{"default", keys[i]}));
    EXPECT_TRUE(ReadAll(**readers[i]) == contents[contents.size() - 1 - i]) << keys[i];
  }
}

TEST_P(TransportContract, OneFailureOfManyFailsNoNeighbour) {
  auto channel = Dial();
  ASSERT_THAT(channel->Put({.key = "taken"}, base::AsBytes("one"), base::kNoDeadline).status(), IsOk());
  const std::vector<PutRequest> puts = {{.request = {.key = "a"}, .bytes = base::AsBytes("aa")},
                                        {.request = {.key = "taken"}, .bytes = base::AsBytes("two")},
                                        {.request = {.key = "../bad"}},
                                        {.request = {.key = "b"}, .bytes = base::AsBytes("bb")},
                                        {.bytes = base::AsBytes("content")}};
  const auto sealed = channel->PutMany(puts, base::kNoDeadline);
  EXPECT_THAT(sealed[0].status(), IsOk());
  EXPECT_THAT(sealed[1].status(), StatusIs(absl::StatusCode::kAlreadyExists, "EXISTS"));
  EXPECT_THAT(sealed[2].status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY"));
  EXPECT_THAT(sealed[3].status(), IsOk());
  ASSERT_THAT(sealed[4].status(), IsOk());
  EXPECT_THAT(sealed[4]->info.id.key, testing::StartsWith("sha256:"));
  const std::vector<std::string> keys = {"b", "missing", "..", "b", "taken"};
  const auto readers = channel->GetMany(keys, base::kNoDeadline);
  ASSERT_THAT(readers[0].status(), IsOk());
  EXPECT_THAT(readers[1].status(), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(readers[2].status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_KEY"));
  ASSERT_THAT(readers[3].status(), IsOk());
  ASSERT_THAT(readers[4].status(), IsOk());
  EXPECT_EQ(base::AsText(ReadAll(**readers[0])), "bb");
  EXPECT_EQ(base::AsText(ReadAll(**readers[3])), "bb");
  EXPECT_EQ(base::AsText(ReadAll(**readers[4])), "one") << "the other content was refused";
}

TEST_P(TransportContract, AThousandObjectsArePutAndGotAndTheirLeasesEndWithTheirReaders) {
  auto channel = Dial();
  const std::vector<std::byte> small = SampleBytes(4096), large = SampleBytes(70'000);
  std::vector<PutRequest> puts;
  for (int i = 0; i < 1000; ++i) {
    puts.push_back({.request = {.key = fmt::format("k/{}", i)}, .bytes = i % 10 == 0 ? large : small});
  }
  for (const auto& sealed : channel->PutMany(puts, base::kNoDeadline)) ASSERT_THAT(sealed.status(), IsOk());
  auto readers = channel->GetMany(KeysOf(puts), base::kNoDeadline);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(readers[i].status(), IsOk()) << i;
    ASSERT_TRUE(ReadAll(**readers[i]) == (i % 10 == 0 ? large : small)) << i;
  }
  readers.clear();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (peer_->usage().read_leases > 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(peer_->usage().read_leases, 0u);
}

}  // namespace larder::object
