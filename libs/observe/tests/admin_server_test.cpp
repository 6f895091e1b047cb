#include "larder/observe/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::observe {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr CounterDecl<> kHits = {.name = "larder_test_hits_total", .help = "Hits."};

class AdminServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<AdminServer> Make(uint16_t port = 0, bool port_is_default = false) {
    return std::make_unique<AdminServer>(
        AdminOptions{.host = "127.0.0.1", .port = port, .port_is_default = port_is_default}, registry_, log_,
        [] { return std::string("arena: 1GiB\n"); });
  }
  static httplib::Result Get(const AdminServer& server, const std::string& path) {
    return httplib::Client("127.0.0.1", server.port()).Get(path);
  }
  static int StatusOf(const AdminServer& server, const std::string& path) {
    const httplib::Result result = Get(server, path);
    return result ? result->status : 0;
  }

  base::ManualClock clock_;
  std::vector<std::string> lines_;
  Registry registry_;
  Logger log_{{.output = [this](std::string_view line) { lines_.emplace_back(line); }}, clock_};
};

TEST_F(AdminServerTest, ServesMetricsInPrometheusText) {
  registry_.Add(kHits).Increment(3);
  const auto server = Make();
  ASSERT_THAT(server->Start(), IsOk());
  const httplib::Result result = Get(*server, "/metrics");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_THAT(result->get_header_value("Content-Type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(result->body, HasSubstr("larder_test_hits_total 3\n"));
}

TEST_F(AdminServerTest, IsHealthyBeforeItIsReady) {
  const auto server = Make();
  ASSERT_THAT(server->Start(), IsOk());
  EXPECT_EQ(StatusOf(*server, "/healthz"), 200);
  EXPECT_EQ(StatusOf(*server, "/readyz"), 503);
  server->SetReady(true);
  EXPECT_EQ(StatusOf(*server, "/readyz"), 200);
  server->SetReady(false);
  EXPECT_EQ(StatusOf(*server, "/readyz"), 503);
  EXPECT_EQ(StatusOf(*server, "/healthz"), 200);
}

TEST_F(AdminServerTest, ServesTheConfigurationAndNothingElse) {
  const auto server = Make();
  ASSERT_THAT(server->Start(), IsOk());
  const httplib::Result result = Get(*server, "/configz");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->body, "arena: 1GiB\n");
  EXPECT_EQ(StatusOf(*server, "/"), 404);
  EXPECT_EQ(StatusOf(*server, "/../etc/passwd"), 404);
}

TEST_F(AdminServerTest, ADefaultPortThatIsTakenGivesWayAndIsLogged) {
  const auto first = Make();
  ASSERT_THAT(first->Start(), IsOk());
  const auto second = Make(first->port(), true);
  ASSERT_THAT(second->Start(), IsOk());
  EXPECT_NE(second->port(), first->port());
  EXPECT_EQ(StatusOf(*second, "/healthz"), 200);
  EXPECT_THAT(lines_, Contains(HasSubstr("default admin port is taken")));
}

TEST_F(AdminServerTest, ASetPortThatIsTakenIsAnError) {
  const auto first = Make();
  ASSERT_THAT(first->Start(), IsOk());
  const auto second = Make(first->port(), false);
  EXPECT_THAT(second->Start(), StatusIs(absl::StatusCode::kFailedPrecondition, "PORT_TAKEN"));
  EXPECT_EQ(second->port(), 0);
}

TEST_F(AdminServerTest, AHostThatIsNotOursIsAnErrorEvenWithADefaultPort) {
  AdminServer server({.host = "192.0.2.1", .port = 7469, .port_is_default = true}, registry_, log_, [] { return ""; });
  EXPECT_THAT(server.Start(), StatusIs(absl::StatusCode::kFailedPrecondition, "CANNOT_LISTEN"));
}

TEST_F(AdminServerTest, StopFreesThePortAndMayBeRepeated) {
  const auto first = Make();
  ASSERT_THAT(first->Start(), IsOk());
  ASSERT_EQ(StatusOf(*first, "/healthz"), 200);
  first->Stop();
  first->Stop();
  const auto second = Make(first->port(), false);
  EXPECT_THAT(second->Start(), IsOk());
}

TEST_F(AdminServerTest, AnswersOthersWhileOneConnectionIdles) {
  const auto server = Make();
  ASSERT_THAT(server->Start(), IsOk());
  httplib::Client idle("127.0.0.1", server->port());
  idle.set_keep_alive(true);
  ASSERT_TRUE(idle.Get("/healthz"));
  httplib::Client idle_too("127.0.0.1", server->port());
  idle_too.set_keep_alive(true);
  ASSERT_TRUE(idle_too.Get("/healthz"));
  EXPECT_EQ(StatusOf(*server, "/healthz"), 200);
}

TEST_F(AdminServerTest, RefusesABodyItHasNoUseFor) {
  const auto server = Make();
  ASSERT_THAT(server->Start(), IsOk());
  httplib::Client client("127.0.0.1", server->port());
  const httplib::Result result = client.Post("/metrics", std::string(1 << 20, 'x'), "text/plain");
  EXPECT_TRUE(!result || result->status >= 400);
  EXPECT_EQ(StatusOf(*server, "/healthz"), 200);
}

}  // namespace
}  // namespace larder::observe
