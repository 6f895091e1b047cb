#include "tests/plane_under_test.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/channel.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/rpc/channel.h"

namespace larder::peer_manager {

namespace v1 = larder::peers::v1;
namespace tv1 = larder::tracker::v1;

namespace {

constexpr base::Duration kPatience = std::chrono::seconds(30);
constexpr base::Duration kBetweenLooks = std::chrono::milliseconds(10);

void SetPatience(grpc::ClientContext& context) { context.set_deadline(std::chrono::system_clock::now() + kPatience); }

}  // namespace

bool Soon(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return true;
}

ManagerCalls::ManagerCalls(const std::string& address) : stub_(v1::PeerManager::NewStub(rpc::Dial(address))) {}

v1::StatusResponse ManagerCalls::Status() {
  grpc::ClientContext context;
  SetPatience(context);
  v1::StatusResponse response;
  EXPECT_TRUE(stub_->Status(&context, v1::StatusRequest(), &response).ok());
  return response;
}

v1::NodeState ManagerCalls::StateOf(const std::string& node) {
  grpc::ClientContext context;
  SetPatience(context);
  v1::ListNodesResponse response;
  EXPECT_TRUE(stub_->ListNodes(&context, v1::ListNodesRequest(), &response).ok());
  for (const v1::Node& shown : response.nodes()) {
    if (shown.name() == node) return shown.state();
  }
  return v1::NODE_STATE_UNSPECIFIED;
}

TrackerCalls::TrackerCalls(const std::string& address) : stub_(tv1::Tracker::NewStub(rpc::Dial(address))) {}

tv1::ApplyResponse TrackerCalls::Apply(const std::string& command) {
  tv1::ApplyRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(command, request.add_commands())) << command;
  grpc::ClientContext context;
  SetPatience(context);
  tv1::ApplyResponse response;
  EXPECT_TRUE(stub_->Apply(&context, request, &response).ok()) << command;
  return response;
}

uint64_t TrackerCalls::Register(const std::string& node) {
  const auto response = Apply("register_node { node: '" + node + "' incarnation: 1 }");
  return response.results_size() == 1 ? response.results(0).node_registered().node_epoch() : 0;
}

void TrackerCalls::SetDraining(const std::string& node, bool draining) {
  Apply("mark_node { node: '" + node + "' draining: " + (draining ? "true" : "false") + " }");
}

bool TrackerCalls::IsFenced(const std::string& node) {
  grpc::ClientContext context;
  SetPatience(context);
  tv1::ListNodesResponse response;
  EXPECT_TRUE(stub_->ListNodes(&context, tv1::ListNodesRequest(), &response).ok());
  for (const tv1::Node& known : response.nodes()) {
    if (known.name() == node) return known.fenced();
  }
  return false;
}

bool TrackerCalls::SomeoneLeads() {
  grpc::ClientContext context;
  SetPatience(context);
  tv1::ListLeasesResponse response;
  EXPECT_TRUE(stub_->ListLeases(&context, tv1::ListLeasesRequest(), &response).ok());
  return response.leases_size() > 0;
}

bool TrackerCalls::NodeAlive(const std::string& node, uint64_t epoch) {
  tv1::NodeAliveRequest request;
  request.mutable_node()->set_node(node);
  request.mutable_node()->set_epoch(epoch);
  grpc::ClientContext context;
  SetPatience(context);
  tv1::NodeAliveResponse response;
  return stub_->NodeAlive(&context, request, &response).ok();
}

BeatingNode::BeatingNode(const std::string& manager, const std::string& node, uint64_t epoch) : manager_(manager) {
  thread_ = std::thread([this, node, epoch] { Run(node, epoch); });
}

void BeatingNode::Silence() {
  {
    base::MutexLock lock(mutex_);
    silenced_ = true;
    changed_.NotifyAll();
  }
  context_.TryCancel();
  if (thread_.joinable()) thread_.join();
}

bool BeatingNode::WaitForBeat() {
  const auto until = std::chrono::steady_clock::now() + kSession / 5;
  base::MutexLock lock(mutex_);
  while (!silenced_ && changed_.WaitUntil(mutex_, until)) {
  }
  return !silenced_;
}

void BeatingNode::Run(const std::string& node, uint64_t epoch) {
  const auto stream = manager_.stub().Session(&context_);
  v1::SessionRequest request;
  v1::SessionResponse response;
  request.mutable_hello()->set_node(node);
  request.mutable_hello()->set_incarnation(1);
  do {
    request.set_sequence(request.sequence() + 1);
    request.set_node_epoch(epoch);
    if (!stream->Write(request) || !stream->Read(&response)) break;
    request.mutable_beat();
  } while (WaitForBeat());
  context_.TryCancel();
  stream->Finish();
}

tracker::Config PlaneTest::TrackerConfig(const std::string& dir, const std::string& grpc) {
  return {.data_dir = dir, .grpc = grpc, .raft = "127.0.0.1:0", .resp = "", .node_session = kSession};
}

PlaneTest::PlaneTest()
    : tracker_(std::make_unique<Hosted<tracker::App>>(TrackerConfig(dir_ / "tracker", "127.0.0.1:0"))) {
  EXPECT_THAT(tracker_->Start(), base::IsOk());
  registry_ = std::make_unique<TrackerCalls>(tracker_->address());
}

PlaneTest::~PlaneTest() {
  if (tracker_ != nullptr) tracker_->Stop();
}

Config PlaneTest::ConfigOf() const {
  return {.grpc = "127.0.0.1:0", .trackers = {tracker_->address()}, .node_session = kSession, .leader_ttl = kLeaderTtl};
}

}  // namespace larder::peer_manager
