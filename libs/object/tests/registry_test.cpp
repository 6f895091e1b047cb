#include "larder/object/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/testing/status_matchers.h"

namespace larder::object {
namespace {

using base::StatusIs;

struct Entry {
  std::string name;
  std::string help;
};

TEST(Registry, NamesTheNearestKnownScheme) {
  Registry<Entry> registry("transport");
  registry.Add({"http", ""});
  registry.Add({"grpc", ""});
  const auto missing = registry.Get("htpp");
  EXPECT_THAT(missing.status(), StatusIs(absl::StatusCode::kInvalidArgument, "UNKNOWN_SCHEME"));
  EXPECT_THAT(base::Message(missing.status()), testing::HasSubstr("did you mean 'http'?"));
  EXPECT_EQ((*registry.Get("grpc"))->name, "grpc");
}

TEST(Registry, RefusesEverythingOnceANameIsTakenTwice) {
  Registry<Entry> registry("backend");
  registry.Add({"memory", ""});
  registry.Add({"memory", ""});
  EXPECT_THAT(registry.Get("memory").status(), StatusIs(absl::StatusCode::kInvalidArgument, "NAME_TAKEN"));
}

TEST(SplitUri, WantsASchemeAndKeepsTheRestAsItIs) {
  EXPECT_EQ(SplitUri("uds:///run/larder")->scheme, "uds");
  EXPECT_EQ(SplitUri("uds:///run/larder")->rest, "/run/larder");
  EXPECT_THAT(SplitUri("/run/larder").status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_URI"));
  EXPECT_THAT(SplitUri("://x").status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_URI"));
}

}  // namespace
}  // namespace larder::object
