// Objects told of and asked for over the gRPC streams of agents, as agents do it.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <future>
#include <map>
#include <random>

#include "larder/rpc/channel.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"
#include "src/tracker/rows.h"
#include "src/tracker/servers.h"
#include "src/tracker/sync_probe.h"

namespace larder::bench {
namespace {

namespace pb = tracker::v1;
using Seconds = std::chrono::duration<double>;

constexpr size_t kAgents = 8;
constexpr int kPublishBatch = 256;
constexpr int kLocateBatch = 64;
constexpr size_t kWindow = 4;  // requests under way on a stream
constexpr uint64_t kRecords = 1'000'000;
constexpr auto kFillLimit = std::chrono::seconds(60);

// A registered node with a stream to the leader. Not thread-safe.
class Agent {
 public:
  Agent(const std::string& leader, size_t number)
      : name_(fmt::format("agent-{}", number)),
        random_(number),
        stub_(pb::Tracker::NewStub(rpc::Dial(leader))),
        stream_(stub_->Stream(&context_)) {
    pb::StreamRequest request;
    pb::RegisterNode& node = *request.mutable_apply()->add_commands()->mutable_register_node();
    node.set_node(name_);
    node.set_incarnation(1);
    node.set_address("127.0.0.1:7400");
    Write(request);
    epoch_ = Read().applied().results(0).node_registered().node_epoch();
    if (epoch_ == 0) Die("a tracker registers no node");
  }
  ~Agent() { context_.TryCancel(); }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Batches of new objects until `end`; seconds that each took.
  std::vector<double> Publish(Moment end) {
    return Run(
        end, [this] { return NextPublish(); },
        [this](const pb::StreamResponse& response) {
          for (const pb::Result& result : response.applied().results()) {
            if (!result.has_sealed()) Die("a Publish is refused: " + result.refusal().reason());
          }
          published_ += response.applied().results_size();
        });
  }
  // Batches of its own objects, any of them, until `end`.
  std::vector<double> Locate(Moment end) {
    return Run(
        end, [this] { return NextLocate(); },
        [](const pb::StreamResponse& response) {
          if (response.located().objects_size() != kLocateBatch) Die("a Locate answers for other than it was asked");
          for (const pb::LocatedObject& object : response.located().objects()) {
            if (object.copies_size() != 1) Die("a Locate does not find what was published");
          }
        });
  }
  uint64_t published() const { return published_; }

 private:
  template <typename Next, typename Check>
  std::vector<double> Run(Moment end, const Next& next, const Check& check) {
    std::vector<double> samples;
    std::map<uint64_t, Moment> sent;
    const auto issue = [&] {
      pb::StreamRequest request = next();
      request.set_number(++number_);
      sent[number_] = std::chrono::steady_clock::now();
      Write(request);
    };
    while (sent.size() < kWindow) issue();
    while (!sent.empty()) {
      const pb::StreamResponse response = Read();
      const Moment now = std::chrono::steady_clock::now();
      check(response);
      const auto request = sent.extract(response.number());
      if (request.empty()) Die("a tracker answers what was not asked");
      samples.push_back(Seconds(now - request.mapped()).count());
      if (now < end) issue();
    }
    return samples;
  }
  void Write(const pb::StreamRequest& request) {
    if (!stream_->Write(request)) Die("a tracker ended a stream");
  }
  pb::StreamResponse Read() {
    pb::StreamResponse response;
    if (!stream_->Read(&response)) Die("a tracker ended a stream");
    if (response.has_failure()) Die("a tracker fails a request: " + response.failure().reason());
    return response;
  }
  void Name(pb::ObjectId& id, uint64_t object) const {
    id.set_namespace_("bench");
    id.set_key(fmt::format("{}/shard-{:09}", name_, object));
  }
  pb::StreamRequest NextPublish() {
    pb::StreamRequest request;
    for (int i = 0; i < kPublishBatch; ++i) {
      pb::Publish& publish = *request.mutable_apply()->add_commands()->mutable_publish();
      Name(*publish.mutable_object(), named_++);
      publish.set_alias(named_);
      publish.mutable_author()->set_node(name_);
      publish.mutable_author()->set_epoch(epoch_);
      publish.set_kind(pb::COPY_KIND_REPLICA);
      publish.mutable_meta()->set_size_bytes(1 << 20);
      publish.mutable_meta()->set_digest("crc32c:00c0ffee");
      publish.mutable_meta()->set_wanted_replicas(1);
    }
    return request;
  }
  pb::StreamRequest NextLocate() {
    pb::StreamRequest request;
    std::uniform_int_distribution<uint64_t> any(0, published_ - 1);
    for (int i = 0; i < kLocateBatch; ++i) Name(*request.mutable_locate()->add_objects(), any(random_));
    return request;
  }

  const std::string name_;
  std::mt19937_64 random_;
  std::unique_ptr<pb::Tracker::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::StreamRequest, pb::StreamResponse>> stream_;
  uint64_t epoch_ = 0;
  uint64_t number_ = 0;
  uint64_t named_ = 0;
  uint64_t published_ = 0;
};

// What slots gave: seconds an object, and how long batches took.
struct Slots {
  std::vector<double> each, p50, p99;
  Timing Summary(bool noisy) const {
    Timing timing = OfRounds(each);
    timing.noisy = noisy;
    timing.latency = Latency{.p50 = OfRounds(p50).seconds, .p99 = OfRounds(p99).seconds};
    return timing;
  }
};

using Work = std::vector<double> (Agent::*)(Moment);

// All agents at once, each from a thread of its own.
void RunSlot(std::deque<Agent>& agents, Work work, int batch, Seconds length, Slots& slots) {
  const Moment begun = std::chrono::steady_clock::now();
  const Moment end = begun + std::chrono::duration_cast<Moment::duration>(length);
  std::vector<std::future<std::vector<double>>> running;
  for (Agent& agent : agents) running.push_back(std::async(std::launch::async, work, &agent, end));
  std::vector<double> samples;
  for (auto& future : running) {
    const std::vector<double> more = future.get();
    samples.insert(samples.end(), more.begin(), more.end());
  }
  const Seconds elapsed = std::chrono::steady_clock::now() - begun;
  slots.each.push_back(elapsed.count() / static_cast<double>(samples.size()) / batch);
  slots.p50.push_back(Percentile(samples, 0.5));
  slots.p99.push_back(Percentile(samples, 0.99));
}

uint64_t Published(const std::deque<Agent>& agents) {
  uint64_t sum = 0;
  for (const Agent& agent : agents) sum += agent.published();
  return sum;
}

}  // namespace

void CatalogueRows(TrackerBench& bench) {
  const Seconds slot(bench.quick ? 0.1 : 2);
  const int rounds = bench.quick ? 1 : kRounds;
  Trackers trackers(bench.dir + "/catalogue");
  SyncProbe disk(bench.dir + "/catalogue-synced", kPublishBatch);
  std::vector<double> yardstick;
  const auto probe = [&] {
    std::vector<double> samples(100);
    for (double& sample : samples) {
      const Moment begun = std::chrono::steady_clock::now();
      disk.Append();
      sample = Seconds(std::chrono::steady_clock::now() - begun).count();
    }
    yardstick.push_back(Percentile(samples, 0.5));
  };
  const std::string leader = trackers.LeaderGrpc();
  std::deque<Agent> agents;
  for (size_t i = 0; i < kAgents; ++i) agents.emplace_back(leader, i);

  Slots published, filled, located;
  for (int round = 0; round < rounds; ++round) {
    probe();
    RunSlot(agents, &Agent::Publish, kPublishBatch, slot, published);
  }
  const Moment full = std::chrono::steady_clock::now() + kFillLimit;
  while (!bench.quick && Published(agents) < kRecords && std::chrono::steady_clock::now() < full) {
    RunSlot(agents, &Agent::Publish, kPublishBatch, slot, filled);
  }
  for (int round = 0; round < rounds; ++round) {
    probe();
    RunSlot(agents, &Agent::Locate, kLocateBatch, slot, located);
  }
  const bool noisy = Noisy(yardstick);
  bench.report.Add("tracker.publish", "Publish of 8 agents, objects, batches of 256", published.Summary(noisy), {});
  bench.report.Add("tracker.locate", fmt::format("Locate, objects, batches of 64, {} records", Published(agents)),
                   located.Summary(noisy), {});
}

}  // namespace larder::bench
