#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/consensus.h"
#include "core/history_feed.h"
#include "core/served_state.h"
#include "larder/base/clock.h"
#include "larder/base/mutex.h"
#include "larder/raft/node.h"
#include "larder/rpc/unary.h"
#include "larder/tracker/v1/tracker.grpc.pb.h"
#include "rpc/request_metrics.h"
#include "rpc/request_stream.h"
#include "rpc/requests.h"
#include "rpc/watch_stream.h"

namespace larder::tracker {

inline constexpr base::Duration kKeepAlive = std::chrono::seconds(5);

// larder.tracker.v1.Tracker over a member's Consensus. Nothing blocks: calls end in the callbacks of Consensus. Stop
// order: Stop, the server, Consensus and its readers; then this may go.
class TrackerRpc final : public v1::Tracker::CallbackService {
 public:
  // Borrows all, and hears what `state` applies.
  TrackerRpc(Consensus& consensus, ServedState& state, const raft::Node& node, RequestMetrics& metrics,
             const StreamLimits& limits = {}, const WatchLimits& watch_limits = {});

  // Every kKeepAlive: tells watchers how far they are, and ends those that take nothing (WatchLimits).
  void KeepAlive() LARDER_EXCLUDES(mutex_);
  // Watches end. Streams, of which clients keep one for ever, read no more and end when what they began is answered;
  // later ones are refused. All with UNAVAILABLE (STOPPING). Returns at once; calls in flight are the server's to wait
  // for.
  void Stop() LARDER_EXCLUDES(mutex_);

  rpc::Reactor* Apply(rpc::Context* context, const v1::ApplyRequest* request, v1::ApplyResponse* response) override;
  grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>* Stream(rpc::Context* context) override
      LARDER_EXCLUDES(mutex_);
  rpc::Reactor* Locate(rpc::Context* context, const v1::LocateRequest* request, v1::LocateResponse* response) override;
  rpc::Reactor* Stat(rpc::Context* context, const v1::StatRequest* request, v1::StatResponse* response) override;
  rpc::Reactor* List(rpc::Context* context, const v1::ListRequest* request, v1::ListResponse* response) override;
  rpc::Reactor* ListStaged(rpc::Context* context, const v1::ListStagedRequest* request,
                           v1::ListStagedResponse* response) override;
  rpc::Reactor* ListNodes(rpc::Context* context, const v1::ListNodesRequest* request,
                          v1::ListNodesResponse* response) override;
  rpc::Reactor* ListLeases(rpc::Context* context, const v1::ListLeasesRequest* request,
                           v1::ListLeasesResponse* response) override;
  rpc::Reactor* GetPlan(rpc::Context* context, const v1::GetPlanRequest* request,
                        v1::GetPlanResponse* response) override;
  rpc::Reactor* ListEndedTickets(rpc::Context* context, const v1::ListEndedTicketsRequest* request,
                                 v1::ListEndedTicketsResponse* response) override;
  rpc::Reactor* GetInventory(rpc::Context* context, const v1::GetInventoryRequest* request,
                             v1::GetInventoryResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(rpc::Context* context, const v1::WatchRequest* request) override
      LARDER_EXCLUDES(mutex_);
  rpc::Reactor* NodeAlive(rpc::Context* context, const v1::NodeAliveRequest* request,
                          v1::NodeAliveResponse* response) override;
  rpc::Reactor* Status(rpc::Context* context, const v1::StatusRequest* request, v1::StatusResponse* response) override;

 private:
  std::vector<std::shared_ptr<WatchStream>> Watches() LARDER_EXCLUDES(mutex_);
  template <typename Request, typename Response>
  using Method = void (Requests::*)(const Request&, std::function<void(absl::StatusOr<Response>)>);
  // Ends with what `method` of the requests makes of it.
  template <typename Request, typename Response>
  rpc::Reactor* Later(Method<Request, Response> method, rpc::Context* context, const Request* request,
                      Response* response);
  template <typename Request, typename Response>
  rpc::Reactor* Ask(Op op, rpc::Context* context, const Request* request, Response* response);

  Consensus& consensus_;
  const raft::Node& node_;
  RequestMetrics& metrics_;
  const StreamLimits limits_;
  const WatchLimits watch_limits_;
  Requests requests_;
  HistoryFeed feed_;
  base::Mutex mutex_;
  bool stopping_ LARDER_GUARDED_BY(mutex_) = false;
  std::map<RequestStream*, std::shared_ptr<RequestStream>> streams_ LARDER_GUARDED_BY(mutex_);
  std::map<WatchStream*, std::shared_ptr<WatchStream>> watches_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::tracker
