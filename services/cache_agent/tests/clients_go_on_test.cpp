// A program goes on while its node's agent ends, in whatever way, and the next one starts.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::kMiB;
using base::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

struct Ending {
  std::string name;
  int signal = 0;
  int exit = 0;  // as Wait gives it
};

class ClientsGoOn : public testing::TestWithParam<Ending> {
 protected:
  void Start(const std::string& store) {
    store_ = store;
    agent_.emplace(AgentProcess(dir_.path(), {"--store=" + store, "--arena=64MiB"}));
  }
  void End() {
    agent_->Signal(GetParam().signal);
    EXPECT_EQ(agent_->Wait(), GetParam().exit);
    agent_.reset();
  }
  std::unique_ptr<client::Client> Connect(client::Options options = {}) {
    auto connected = client::Client::Connect(endpoint(), std::move(options));
    EXPECT_THAT(connected, IsOk());
    return *std::move(connected);
  }
  std::string endpoint() const { return "uds://" + (dir_ / "run").string(); }
  static absl::Status Put(client::Client& client, const std::string& key, const std::string& bytes) {
    return client.Put({.key = key}, base::AsBytes(bytes)).status();
  }
  static bool Holds(object::ObjectReader& reader, const std::string& bytes) {
    std::string read(bytes.size(), '\0');
    const absl::Status status = reader.Read(0, std::as_writable_bytes(std::span(read.data(), read.size())));
    EXPECT_THAT(status, IsOk());
    return read == bytes;
  }

  base::TempDir dir_;
  std::string store_;
  std::optional<AgentProcess> agent_;
  const std::string bytes_ = std::string(3 * kMiB, 'x') + "end";
};

TEST_P(ClientsGoOn, MappedViewsStayValidAndWhatTheMemoryHeldIsNotFound) {
  Start("memory");
  auto client = Connect();
  ASSERT_THAT(Put(*client, "k", bytes_), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("k"));
  const auto view = reader->Bytes();
  ASSERT_TRUE(view.has_value());
  End();
  Start("memory");
  EXPECT_THAT(client->Get("k"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_EQ(base::AsText(*view), bytes_);
  EXPECT_TRUE(reader->lapsed());
  ASSERT_THAT(Put(*client, "k", "another"), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto other, client->Get("k"));
  EXPECT_TRUE(Holds(*other, "another"));
  EXPECT_EQ(base::AsText(*view), bytes_);
}

TEST_P(ClientsGoOn, ReadersOfAStoreThatSurvivesHoldTheSameObjectThoughTheProgramMakesNoCall) {
  Start("file");
  auto client = Connect();
  ASSERT_THAT(Put(*client, "k", bytes_), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("k"));
  std::string half(bytes_.size() / 2, '\0');
  const auto half_bytes = std::as_writable_bytes(std::span(half.data(), half.size()));
  ASSERT_THAT(reader->Read(0, half_bytes), IsOk());
  End();
  Start("file");
  EXPECT_TRUE(Eventually([&] { return agent_->Metric("larder_lease_active{kind=\"read\"}") == 1; }));
  EXPECT_TRUE(Eventually([&] { return !reader->lapsed(); })) << "once the answer is here, too";
  ASSERT_THAT(client->Delete("k"), IsOk());
  EXPECT_THAT(client->Get("k"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_TRUE(Holds(*reader, bytes_)) << "its lease keeps it";
}

TEST_P(ClientsGoOn, AReaderWhoseObjectWasReplacedMeanwhileSaysSo) {
  Start("file");
  LARDER_ASSERT_OK_AND_ASSIGN(auto channel, client::Client::Connect(endpoint(), {.reconnect_window = {}}));
  ASSERT_THAT(Put(*channel, "k", bytes_), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, channel->Get("k"));
  End();
  Start("file");
  // With a window of 0 it does not look for the next agent by itself: another client comes first.
  ASSERT_THAT(Connect()->Put({.key = "k", .overwrite = true}, base::AsBytes("other")), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto fresh, channel->Get("k"));
  std::vector<std::byte> one(1);
  const absl::Status read = reader->Read(0, one);
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kAborted, "EPOCH_STALE"));
  EXPECT_THAT(base::Message(read), AllOf(HasSubstr("'k'"), HasSubstr(std::to_string(reader->info().epoch.value)),
                                         HasSubstr(std::to_string(fresh->info().epoch.value))));
}

TEST_P(ClientsGoOn, RepeatedGetsWaitThroughTheRestartAndNeverFail) {
  Start("file");
  auto client = Connect();
  ASSERT_THAT(Put(*client, "small", "some bytes"), IsOk());
  ASSERT_THAT(Put(*client, "big", bytes_), IsOk());
  std::atomic<bool> stop = false;
  std::atomic<int> rounds = 0;
  const auto get_again_and_again = [&]() -> absl::Status {
    for (; !stop; ++rounds) {
      for (const auto& [key, bytes] : {std::pair("small", std::string("some bytes")), std::pair("big", bytes_)}) {
        LARDER_ASSIGN_OR_RETURN(auto reader, client->Get(key));
        if (!Holds(*reader, bytes)) return absl::DataLossError(key);
      }
      const std::vector<std::string> keys = {"small", "big", "missing"};
      const auto many = client->GetMany(keys);
      LARDER_RETURN_IF_ERROR(many[0].status());
      LARDER_RETURN_IF_ERROR(many[1].status());
      if (!absl::IsNotFound(many[2].status())) return many[2].status();
    }
    return absl::OkStatus();
  };
  auto one = std::async(std::launch::async, get_again_and_again);
  auto other = std::async(std::launch::async, get_again_and_again);
  for (int restarts = 0; restarts < 3; ++restarts) {
    const int before = rounds;
    EXPECT_TRUE(Eventually([&] { return rounds > before + 10; }));
    End();
    Start("file");
  }
  const int before = rounds;
  EXPECT_TRUE(Eventually([&] { return rounds > before + 10; }));
  stop = true;
  EXPECT_THAT(one.get(), IsOk());
  EXPECT_THAT(other.get(), IsOk());
}

TEST_P(ClientsGoOn, WritersFailAndNothingOfThemIsPublished) {
  Start("file");
  auto client = Connect();
  LARDER_ASSERT_OK_AND_ASSIGN(auto writes, client->Create({.key = "writes"}));
  LARDER_ASSERT_OK_AND_ASSIGN(auto buffers, client->Create({.key = "buffers"}));
  ASSERT_THAT(writes->Write(base::AsBytes(bytes_)), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const base::MutableByteSpan buffer, buffers->Buffer(2 * kMiB));
  End();
  Start("file");
  buffer.back() = std::byte{1};  // still there to be written to
  for (const absl::Status& failed : {writes->Write(base::AsBytes(bytes_)), buffers->Seal({}).status()}) {
    EXPECT_THAT(failed, StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
    EXPECT_THAT(base::Message(failed), HasSubstr("epoch"));
  }
  EXPECT_THAT(client->Stat("writes"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(client->Stat("buffers"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
  EXPECT_THAT(Put(*client, "writes", "again"), IsOk());
}

TEST_P(ClientsGoOn, WithoutANextAgentCallsEndWithTheWindow) {
  Start("memory");
  auto client = Connect({.reconnect_window = std::chrono::milliseconds(300)});
  ASSERT_THAT(Put(*client, "k", bytes_), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(auto reader, client->Get("k"));
  End();
  const absl::Status gone = client->Get("k").status();
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_THAT(base::Message(gone), AllOf(HasSubstr((dir_ / "run/data.sock").string()), HasSubstr("0.3 s")));
  EXPECT_THAT(Put(*client, "once", "x"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Holds(*reader, bytes_));
}

INSTANTIATE_TEST_SUITE_P(By, ClientsGoOn,
                         testing::Values(Ending{"Sigterm", SIGTERM, 0}, Ending{"Sigkill", SIGKILL, -SIGKILL}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace larder::cache_agent
