#include "rpc/tracker_rpc.h"

#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/rpc/happens_before.h"
#include "rpc/answers.h"

namespace larder::tracker {

namespace {

absl::Status Stopping() { return base::Error(absl::StatusCode::kUnavailable, "STOPPING", "this member is stopping"); }

}  // namespace

TrackerRpc::TrackerRpc(Consensus& consensus, ServedState& state, const raft::Node& node, RequestMetrics& metrics,
                       const StreamLimits& limits, const WatchLimits& watch_limits)
    : consensus_(consensus),
      node_(node),
      metrics_(metrics),
      limits_(limits),
      watch_limits_(watch_limits),
      requests_(consensus, metrics),
      feed_(consensus, state) {}

void TrackerRpc::Stop() {
  std::vector<std::shared_ptr<RequestStream>> open;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& [key, stream] : streams_) open.push_back(stream);
  }
  for (const auto& stream : open) stream->Stop();
  for (const auto& watch : Watches()) watch->End(Stopping());
}

std::vector<std::shared_ptr<WatchStream>> TrackerRpc::Watches() {
  std::vector<std::shared_ptr<WatchStream>> open;
  base::MutexLock lock(mutex_);
  for (const auto& [key, watch] : watches_) open.push_back(watch);
  return open;
}

void TrackerRpc::KeepAlive() {
  for (const auto& watch : Watches()) watch->KeepAlive();
  feed_.Wake();
}

template <typename Request, typename Response>
rpc::Reactor* TrackerRpc::Later(Method<Request, Response> method, rpc::Context* context, const Request* request,
                                Response* response) {
  return rpc::UnaryLater(context, [=, this](const rpc::PendingCall& call) {
    (requests_.*method)(*request, [call, response](absl::StatusOr<Response> made) {
      call.End([&] {
        if (made.ok()) *response = *std::move(made);
        return made.status();
      });
    });
  });
}

rpc::Reactor* TrackerRpc::Apply(rpc::Context* context, const v1::ApplyRequest* request, v1::ApplyResponse* response) {
  return Later(&Requests::Apply, context, request, response);
}

rpc::Reactor* TrackerRpc::NodeAlive(rpc::Context* context, const v1::NodeAliveRequest* request,
                                    v1::NodeAliveResponse* response) {
  return Later(&Requests::NodeAlive, context, request, response);
}

grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>* TrackerRpc::Stream(rpc::Context* context) {
  const auto stream = std::make_shared<RequestStream>(requests_, *context, limits_, [this](RequestStream& gone) {
    std::shared_ptr<RequestStream> last;
    base::MutexLock lock(mutex_);
    last = std::move(streams_.extract(&gone).mapped());
  });
  rpc::ReactorMade(stream.get());
  bool stopping = false;
  {
    base::MutexLock lock(mutex_);
    streams_.emplace(stream.get(), stream);
    stopping = stopping_;
  }
  stream->Begin();
  if (stopping) stream->Stop();
  return stream.get();
}

grpc::ServerWriteReactor<v1::WatchResponse>* TrackerRpc::Watch(rpc::Context* context, const v1::WatchRequest* request) {
  const auto watch = std::make_shared<WatchStream>(feed_, metrics_, *context, watch_limits_, [this](WatchStream& gone) {
    std::shared_ptr<WatchStream> last;
    base::MutexLock lock(mutex_);
    last = std::move(watches_.extract(&gone).mapped());
  });
  rpc::ReactorMade(watch.get());
  bool stopping = false;
  {
    base::MutexLock lock(mutex_);
    watches_.emplace(watch.get(), watch);
    stopping = stopping_;
  }
  if (stopping) {
    watch->End(Stopping());
  } else {
    watch->Begin(consensus_, *request);
  }
  return watch.get();
}

template <typename Request, typename Response>
rpc::Reactor* TrackerRpc::Ask(Op op, rpc::Context* context, const Request* request, Response* response) {
  return rpc::UnaryLater(context, [=, this](const rpc::PendingCall& call) {
    requests_.Read(request->stale_ok(), [=, this](const absl::Status& status, Reader* snapshot, LogTime now) {
      call.End([&] { return requests_.Answered(op, status, snapshot, now, *request, *response); });
    });
  });
}

rpc::Reactor* TrackerRpc::Locate(rpc::Context* context, const v1::LocateRequest* request,
                                 v1::LocateResponse* response) {
  return Ask(Op::kLocate, context, request, response);
}

rpc::Reactor* TrackerRpc::Stat(rpc::Context* context, const v1::StatRequest* request, v1::StatResponse* response) {
  return Ask(Op::kStat, context, request, response);
}

rpc::Reactor* TrackerRpc::List(rpc::Context* context, const v1::ListRequest* request, v1::ListResponse* response) {
  return Ask(Op::kList, context, request, response);
}

rpc::Reactor* TrackerRpc::ListStaged(rpc::Context* context, const v1::ListStagedRequest* request,
                                     v1::ListStagedResponse* response) {
  return Ask(Op::kListStaged, context, request, response);
}

rpc::Reactor* TrackerRpc::ListNodes(rpc::Context* context, const v1::ListNodesRequest* request,
                                    v1::ListNodesResponse* response) {
  return Ask(Op::kListNodes, context, request, response);
}

rpc::Reactor* TrackerRpc::ListLeases(rpc::Context* context, const v1::ListLeasesRequest* request,
                                     v1::ListLeasesResponse* response) {
  return Ask(Op::kListLeases, context, request, response);
}

rpc::Reactor* TrackerRpc::GetPlan(rpc::Context* context, const v1::GetPlanRequest* request,
                                  v1::GetPlanResponse* response) {
  return Ask(Op::kGetPlan, context, request, response);
}

rpc::Reactor* TrackerRpc::ListEndedTickets(rpc::Context* context, const v1::ListEndedTicketsRequest* request,
                                           v1::ListEndedTicketsResponse* response) {
  return Ask(Op::kListEndedTickets, context, request, response);
}

rpc::Reactor* TrackerRpc::GetInventory(rpc::Context* context, const v1::GetInventoryRequest* request,
                                       v1::GetInventoryResponse* response) {
  return Ask(Op::kGetInventory, context, request, response);
}

rpc::Reactor* TrackerRpc::Status(rpc::Context* context, const v1::StatusRequest*, v1::StatusResponse* response) {
  return rpc::Unary(context, [=, this]() -> absl::Status {
    *response = ToProto(node_.status());
    metrics_.Done(Op::kStatus, absl::StatusCode::kOk);
    return absl::OkStatus();
  });
}

}  // namespace larder::tracker
