#include "rpc/tracker_client.h"

#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"
#include "rpc/grpc_tracker_link.h"
#include "tests/scripted_tracker.h"
#include "tests/talk.h"

namespace larder::cache_agent {
namespace {

using testing::ElementsAre;

// Bucket b has the sum 10 b.
v1::Result ComparedResult(const v1::ConfirmBuckets& confirm) {
  v1::Result result;
  result.mutable_buckets_compared();
  for (const v1::BucketHash& told : confirm.buckets()) {
    if (told.hash() != 10 * told.bucket()) result.mutable_buckets_compared()->add_differing(told.bucket());
  }
  return result;
}

// Two copies are over, a third is staged here.
v1::Result SyncedResult(const v1::SyncBucket& sync) {
  v1::Result result;
  v1::BucketSynced& synced = *result.mutable_bucket_synced();
  synced.set_next(sync.to());
  for (const char* reason : {"DELETED", "SUPERSEDED", ""}) {
    v1::BucketSynced::Answer& answer = *synced.add_answers();
    *answer.mutable_item() = sync.items(synced.answers_size() - 1);
    answer.set_reason(reason);
  }
  return result;
}

v1::Result EffectResult(bool changed) {
  v1::Result result;
  result.mutable_effect()->set_changed(changed);
  return result;
}

// A tracker of one object: answers what a registry would where it is created once.
v1::Result ResultOf(const v1::Command& command) {
  switch (command.command_case()) {
    case v1::Command::kOpenSession:
      return SessionResult(1);
    case v1::Command::kRegisterNode:
      return RegisteredResult(5);
    case v1::Command::kAcquireCreate:
      return GrantedResult(7);
    case v1::Command::kSeal:
      return SealedResult(command.seal().epoch());
    case v1::Command::kAddLocation:
      return command.add_location().blob() == 3 && command.add_location().holder().epoch() == 5
                 ? DoneResult()
                 : RefusedResult(absl::StatusCode::kNotFound, "DELETED");
    case v1::Command::kReportBad:
      return EffectResult(false);
    case v1::Command::kGiveUp:
      return command.give_up().blob() == 3 && command.give_up().epoch() == 7
                 ? DoneResult()
                 : RefusedResult(absl::StatusCode::kNotFound, "SUPERSEDED");
    case v1::Command::kConfirmBuckets:
      return ComparedResult(command.confirm_buckets());
    case v1::Command::kSyncBucket:
      return SyncedResult(command.sync_bucket());
    default:
      return DoneResult();
  }
}

v1::StreamResponse AnswerTo(const v1::StreamRequest& request) {
  v1::StreamResponse response;
  response.set_number(request.number());
  for (const v1::Command& command : request.apply().commands()) {
    *response.mutable_applied()->add_results() = ResultOf(command);
  }
  for (const v1::ObjectId& id : request.locate().objects()) {
    v1::LocatedObject& located = *response.mutable_located()->add_objects();
    *located.mutable_object()->mutable_id() = id;
    if (id.key() == "absent") continue;
    located.mutable_object()->set_blob(3);
    located.mutable_object()->mutable_sealed()->set_epoch(7);
    located.add_copies()->set_node("n");
  }
  return response;
}

class OneObject final : public v1::Tracker::Service {
 public:
  grpc::Status Stream(grpc::ServerContext*,
                      grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>* stream) override {
    v1::StreamRequest request;
    while (stream->Read(&request)) stream->Write(AnswerTo(request));
    return grpc::Status::OK;
  }
  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request, v1::ListResponse* response) override {
    v1::Object& object = *response->add_entries()->mutable_object();
    object.mutable_id()->set_namespace_(request->namespace_());
    object.mutable_id()->set_key(request->prefix() + "k");
    object.mutable_sealed()->set_epoch(7);
    return grpc::Status::OK;
  }
  grpc::Status GetInventory(grpc::ServerContext*, const v1::GetInventoryRequest* request,
                            v1::GetInventoryResponse* response) override {
    if (request->node() != "n") return {grpc::StatusCode::NOT_FOUND, "another node"};
    for (uint64_t bucket = 0; bucket < object::kInventoryBuckets; ++bucket) response->add_sums(10 * bucket);
    return grpc::Status::OK;
  }
  grpc::Status NodeAlive(grpc::ServerContext*, const v1::NodeAliveRequest* request,
                         v1::NodeAliveResponse* response) override {
    if (request->node().node() != "n" || request->node().epoch() != 5) {
      return {grpc::StatusCode::NOT_FOUND, "another node"};
    }
    response->set_session_ms(10000);
    return grpc::Status::OK;
  }
  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override {
    response->add_nodes()->set_name("n" + request->page_token());
    return grpc::Status::OK;
  }
};

// What came of a call, once it came.
template <typename T>
class Answer {
 public:
  object::Done<T> done() {
    return [promise = promise_](T value) { promise->set_value(std::move(value)); };
  }
  T get() { return promise_->get_future().get(); }

 private:
  std::shared_ptr<std::promise<T>> promise_ = std::make_shared<std::promise<T>>();
};

// A link that answers nothing by itself.
class SilentLink final : public TrackerLink {
 public:
  void Send(v1::StreamRequest) override {}
  void List(v1::ListRequest, base::Duration, object::Done<absl::StatusOr<v1::ListResponse>> done) override {
    Keep(std::move(done));
  }
  void GetInventory(v1::GetInventoryRequest, base::Duration,
                    object::Done<absl::StatusOr<v1::GetInventoryResponse>> done) override {
    Keep(std::move(done));
  }
  void NodeAlive(v1::NodeAliveRequest, base::Duration,
                 object::Done<absl::StatusOr<v1::NodeAliveResponse>> done) override {
    Keep(std::move(done));
  }
  void ListNodes(v1::ListNodesRequest, base::Duration,
                 object::Done<absl::StatusOr<v1::ListNodesResponse>> done) override {
    Keep(std::move(done));
  }
  ~SilentLink() override {
    for (const auto& end : open_) end(absl::CancelledError("the link ends"));
  }

 private:
  template <typename Response>
  void Keep(object::Done<absl::StatusOr<Response>> done) {
    open_.push_back([done = std::move(done)](const absl::Status& why) { done(why); });
  }
  std::deque<std::function<void(const absl::Status&)>> open_;
};

class TrackerClientTest : public testing::Test {
 protected:
  base::SystemClock clock_;
  observe::Logger log_{{.output = [](std::string_view) {}}, clock_};
  const TrackerOptions options_ = {.node = "n", .incarnation = 1};
};

TEST_F(TrackerClientTest, StopAnswersAllWhoWaitAndRefusesWhoComesLater) {
  TrackerClient client(
      {"a:1"}, options_, [](const std::string&, const TrackerLink::Events&) { return std::make_unique<SilentLink>(); },
      clock_, log_);
  Answer<absl::StatusOr<object::Epoch>> acquired;
  Answer<absl::StatusOr<std::vector<ClusterObject>>> located;
  Answer<absl::StatusOr<ClusterPage>> listed;
  Answer<absl::Status> given_up;
  Answer<absl::StatusOr<object::InventorySums>> inventory;
  client.Start();
  client.Acquire({"a", "k"}, false, acquired.done());
  client.Locate({{"a", "k"}}, located.done());
  client.List("a", {}, listed.done());
  client.GiveUp({"a", "other"}, {{3}, {7}}, given_up.done());
  client.Stop();
  EXPECT_EQ(base::Reason(acquired.get().status()), "NO_TRACKER");
  EXPECT_EQ(base::Reason(located.get().status()), "NO_TRACKER");
  EXPECT_EQ(base::Reason(listed.get().status()), "NO_TRACKER");
  EXPECT_EQ(base::Reason(given_up.get()), "NO_TRACKER");
  client.GetInventory(inventory.done());
  EXPECT_EQ(base::Reason(inventory.get().status()), "NO_TRACKER");
  Answer<absl::StatusOr<TrackerClient::Alive>> alive;
  client.AskAlive(std::chrono::seconds(1), alive.done());
  EXPECT_EQ(base::Reason(alive.get().status()), "NO_TRACKER");
  Answer<absl::StatusOr<v1::ListNodesResponse>> nodes;
  client.ListNodes({}, std::chrono::seconds(1), nodes.done());
  EXPECT_EQ(base::Reason(nodes.get().status()), "NO_TRACKER");
  Answer<absl::Status> late;
  client.Delete({"a", "k"}, late.done());
  EXPECT_EQ(base::Reason(late.get()), "NO_TRACKER");
}

TEST_F(TrackerClientTest, NamesThatAreNoneAreRefusedBeforeTheySpoilABatch) {
  TrackerClient client(
      {"a:1"}, options_, [](const std::string&, const TrackerLink::Events&) { return std::make_unique<SilentLink>(); },
      clock_, log_);
  client.Start();
  Answer<absl::StatusOr<std::vector<ClusterObject>>> located;
  client.Locate({{"a", "k"}, {"a", "/"}}, located.done());
  EXPECT_EQ(base::Reason(located.get().status()), "BAD_KEY");
  client.Stop();
}

TEST_F(TrackerClientTest, ATrackerThatSaysNothingOfTheNodeIsLeftAndOneThatSaysItIsFencedRegistersItAnew) {
  ScriptedTracker tracker;
  Answer<Registration> registered;
  Answer<uint64_t> fenced;
  TrackerClient client({"a:1", "b:1"}, options_, tracker.dial(), clock_, log_,
                       {.registered = registered.done(), .fenced = fenced.done()});
  client.Start();
  const ScriptedTracker::Link first = tracker.TakeLink();
  EXPECT_EQ(first.address, "a:1");
  first.events.received(Applied(tracker.TakeRequest(), {SessionResult(1), RegisteredResult(5)}));
  EXPECT_EQ(registered.get().node_epoch, 5u);

  Answer<absl::StatusOr<TrackerClient::Alive>> silent;
  client.AskAlive(std::chrono::seconds(1), silent.done());
  tracker.TakeQuestion()(absl::DeadlineExceededError("nothing came"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.get().status()));
  EXPECT_EQ(tracker.TakeLink().address, "b:1");

  // Once it is on that link.
  Answer<absl::StatusOr<std::vector<ClusterObject>>> located;
  client.Locate({{"a", "k"}}, located.done());
  EXPECT_TRUE(tracker.TakeRequest().has_locate()) << "the registration goes on";
  Answer<absl::StatusOr<TrackerClient::Alive>> over;
  client.AskAlive(std::chrono::seconds(1), over.done());
  tracker.TakeQuestion()(base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "fenced"));
  EXPECT_EQ(base::Reason(over.get().status()), "NODE_FENCED");
  EXPECT_EQ(fenced.get(), 5u);
  EXPECT_TRUE(tracker.TakeRequest().apply().commands(0).has_register_node());
  client.Stop();
}

TEST_F(TrackerClientTest, GoesOnWithTheNextTrackerAndServesOverGrpc) {
  OneObject service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  Answer<Registration> registered;
  // Nobody listens on the first.
  TrackerClient client({"127.0.0.1:1", "127.0.0.1:" + std::to_string(port)}, options_, DialTrackerByGrpc, clock_, log_,
                       {.registered = registered.done()});
  client.Start();
  EXPECT_EQ(registered.get(), (Registration{5, "the cluster's", 1}));

  const object::ObjectId id = {"a", "k"};
  Answer<absl::StatusOr<object::Epoch>> acquired;
  client.Acquire(id, false, acquired.done());
  LARDER_ASSERT_OK_AND_ASSIGN(const object::Epoch epoch, acquired.get());
  EXPECT_EQ(epoch, object::Epoch{7});
  Answer<absl::StatusOr<object::TrackedAs>> sealed;
  client.Seal(epoch, {.id = id}, sealed.done());
  EXPECT_EQ(sealed.get().value(), (object::TrackedAs{{2}, {7}}));
  Answer<absl::StatusOr<std::vector<ClusterObject>>> located;
  client.Locate({id, {"a", "absent"}}, located.done());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::vector<ClusterObject> found, located.get());
  EXPECT_EQ(found.at(0).info.state, object::ObjectState::kSealed);
  EXPECT_EQ(found.at(0).copies.at(0).node, "n");
  EXPECT_EQ(found.at(1).info.state, object::ObjectState::kDeleted);
  Answer<absl::StatusOr<ClusterPage>> listed;
  client.List("a", {.prefix = "p/"}, listed.done());
  LARDER_ASSERT_OK_AND_ASSIGN(const ClusterPage page, listed.get());
  EXPECT_EQ(page.objects.at(0).id.key, "p/k");

  Answer<absl::Status> given_up;
  client.GiveUp(id, {{3}, {7}}, given_up.done());
  EXPECT_TRUE(given_up.get().ok());
  Answer<absl::Status> gone;
  client.GiveUp(id, {{3}, {6}}, gone.done());
  EXPECT_TRUE(gone.get().ok()) << "nobody has that any more";
  Answer<absl::Status> added;
  client.AddCopy({{3}, {7}}, added.done());
  EXPECT_TRUE(added.get().ok());
  Answer<absl::Status> deleted;
  client.AddCopy({{4}, {7}}, deleted.done());
  EXPECT_EQ(base::Reason(deleted.get()), "DELETED");
  Answer<absl::Status> reported;
  client.ReportBad({{3}, {7}}, "b", 6, 11, reported.done());
  EXPECT_TRUE(reported.get().ok()) << "somebody else did";
  Answer<absl::StatusOr<object::InventorySums>> inventory;
  client.GetInventory(inventory.done());
  EXPECT_EQ(inventory.get().value().at(9), 90u);
  Answer<absl::StatusOr<std::vector<uint8_t>>> differing;
  client.ConfirmBuckets({{8, 80}, {9, 91}}, differing.done());
  EXPECT_THAT(differing.get().value(), ElementsAre(9));
  Answer<absl::StatusOr<InventoryAnswer>> synced;
  client.SyncBucket({.bucket = 9, .from = {1}, .to = {50}, .copies = {{{2}, {7}}, {{3}, {7}}, {{4}, {7}}}},
                    synced.done());
  const InventoryAnswer answer = synced.get().value();
  EXPECT_EQ(answer.next, object::BlobId{50});
  EXPECT_THAT(answer.over, ElementsAre(object::TrackedAs{{2}, {7}}, object::TrackedAs{{3}, {7}}));
  Answer<absl::StatusOr<TrackerClient::Alive>> alive;
  client.AskAlive(std::chrono::seconds(10), alive.done());
  LARDER_ASSERT_OK_AND_ASSIGN(const TrackerClient::Alive now, alive.get());
  EXPECT_EQ(now.node_epoch, 5u);
  EXPECT_EQ(now.session, std::chrono::seconds(10));
  Answer<absl::StatusOr<v1::ListNodesResponse>> nodes;
  v1::ListNodesRequest page_of_nodes;
  page_of_nodes.set_page_token("1");
  client.ListNodes(page_of_nodes, std::chrono::seconds(10), nodes.done());
  EXPECT_EQ(nodes.get().value().nodes(0).name(), "n1");
  client.Stop();
  server->Shutdown();
}

}  // namespace
}  // namespace larder::cache_agent
