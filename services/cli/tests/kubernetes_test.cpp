#include "core/kubernetes.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

json Pod(const std::string& name, const std::string& driver, const std::string& phase = "Running",
         const std::string& node = "n1") {
  json pod = {{"metadata", {{"namespace", "web"}, {"name", name}}},
              {"spec", {{"nodeName", node}, {"volumes", {{{"name", "tmp"}, {"emptyDir", json::object()}}}}}},
              {"status", {{"phase", phase}}}};
  if (!driver.empty()) pod["spec"]["volumes"].push_back({{"name", "l"}, {"csi", {{"driver", driver}}}});
  return pod;
}

std::string Page(const std::vector<json>& pods, const std::string& next = "") {
  return json({{"kind", "PodList"}, {"metadata", {{"continue", next}}}, {"items", pods}}).dump();
}

absl::StatusOr<std::vector<PodRef>> PodsIn(const std::string& answer) {
  return PodsOfDriver("csi.larder.io", [&](const std::string&, const HttpQuery&) { return answer; });
}

TEST(PodsOfDriver, AreThoseWithAVolumeOfIt) {
  json without_volumes = Pod("bare", "");
  without_volumes["spec"].erase("volumes");
  LARDER_ASSERT_OK_AND_ASSIGN(
      const auto pods,
      PodsIn(Page({Pod("a", "csi.larder.io"), Pod("b", "csi.other.io"), Pod("c", ""), without_volumes})));
  EXPECT_THAT(pods, ElementsAre(PodRef{.ns = "web", .name = "a", .node = "n1"}));
}

TEST(PodsOfDriver, AreNotThoseThatEndedOrNeverHadANode) {
  LARDER_ASSERT_OK_AND_ASSIGN(
      const auto pods,
      PodsIn(Page({Pod("done", "csi.larder.io", "Succeeded"), Pod("failed", "csi.larder.io", "Failed"),
                   Pod("waits", "csi.larder.io", "Pending", ""), Pod("starts", "csi.larder.io", "Pending", "n2")})));
  EXPECT_THAT(pods, ElementsAre(PodRef{.ns = "web", .name = "starts", .node = "n2"}));
}

TEST(PodsOfDriver, AreAskedForPageByPage) {
  std::vector<HttpQuery> asked;
  const auto pods = PodsOfDriver("csi.larder.io", [&](const std::string& path, const HttpQuery& query) {
    EXPECT_EQ(path, "/api/v1/pods");
    asked.push_back(query);
    return asked.size() == 1 ? Page({Pod("a", "csi.larder.io")}, "x+/=") : Page({Pod("b", "csi.larder.io")});
  });
  ASSERT_THAT(pods, base::IsOk());
  EXPECT_EQ(pods->size(), 2u);
  EXPECT_THAT(asked, ElementsAre(HttpQuery{{"limit", "50"}}, HttpQuery{{"limit", "50"}, {"continue", "x+/="}}));
}

TEST(PodsOfDriver, OfAClusterWithoutPodsAreNone) {
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, PodsIn(R"({"kind": "PodList", "metadata": {}, "items": null})"));
  EXPECT_THAT(pods, IsEmpty());
}

TEST(PodsOfDriver, WhatIsNoListOfPodsIsNotTakenForNone) {
  for (const std::string answer :
       {"", "<html>", "[]", "null", R"({"kind": "Status"})", R"({"kind": "PodList"})", R"({"kind": 1, "items": []})",
        R"({"kind": "PodList", "items": [1]})", R"({"kind": "PodList", "items": [{"spec": {"nodeName": 7}}]})",
        R"({"kind": "PodList", "items": [], "metadata": {"continue": 3}})"}) {
    EXPECT_EQ(base::Reason(PodsIn(answer).status()), "KUBERNETES_ANSWER") << answer;
  }
}

TEST(PodsOfDriver, WhatElseAPodHasDoesNotMatter) {
  json fat = Pod("a", "csi.larder.io");
  fat["metadata"]["annotations"] = {{"text", R"({"csi": {"driver": "csi.larder.io"}})"}};
  fat["metadata"]["managedFields"] = {{{"fieldsV1", {{"f:spec", {{"f:volumes", json::object()}}}}}}};
  fat["spec"]["containers"] = fat["spec"]["initContainers"] = {{{"name", "main"}, {"volumeMounts", json::array()}}};
  json other = Pod("b", "csi.other.io");
  other["metadata"]["annotations"] = fat["metadata"]["annotations"];
  LARDER_ASSERT_OK_AND_ASSIGN(const auto pods, PodsIn(Page({fat, other})));
  EXPECT_THAT(pods, ElementsAre(PodRef{.ns = "web", .name = "a", .node = "n1"}));
}

TEST(PodsOfDriver, AnErrorOnTheWayComesBack) {
  const auto pods =
      PodsOfDriver("csi.larder.io", [](const std::string&, const HttpQuery&) -> absl::StatusOr<std::string> {
        return base::Error(absl::StatusCode::kUnavailable, "NO_API_SERVER", "gone");
      });
  EXPECT_EQ(base::Reason(pods.status()), "NO_API_SERVER");
}

TEST(KubernetesApi, IsThatOfAPodAlone) {
  const base::TempDir dir;
  const config::Environment pod = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  const auto reason = [&](const config::Environment& env) {
    return base::Reason(KubernetesApi::OfThisPod(env, dir.path()).status());
  };
  EXPECT_EQ(reason(pod), "NO_KUBERNETES") << "no account";
  ASSERT_THAT(base::WriteFileAtomically(dir / "token", "t\n"), base::IsOk());
  EXPECT_EQ(reason(pod), "NO_KUBERNETES") << "no certificate";
  ASSERT_THAT(base::WriteFileAtomically(dir / "ca.crt", "c"), base::IsOk());
  EXPECT_EQ(reason(pod), "");
  EXPECT_EQ(reason({}), "NO_KUBERNETES");
  EXPECT_EQ(reason({{"KUBERNETES_SERVICE_HOST", "h"}, {"KUBERNETES_SERVICE_PORT", "https"}}), "NO_KUBERNETES");
}

}  // namespace
}  // namespace larder::cli
