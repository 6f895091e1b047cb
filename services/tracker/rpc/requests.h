#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>

#include "core/consensus.h"
#include "core/queries.h"
#include "core/watch.h"
#include "larder/tracker/v1/tracker.pb.h"
#include "rpc/answers.h"
#include "rpc/request_metrics.h"

namespace larder::tracker {

// Requests as they came in, done and counted; knows no gRPC. Thread-safe. Callbacks run on the threads of Consensus,
// and must not block.
class Requests {
 public:
  // Borrows both, until Consensus::Stop has returned.
  Requests(Consensus& consensus, RequestMetrics& metrics) : consensus_(consensus), metrics_(metrics) {}

  // `request` is not used after the call. Those of one thread are applied in the order of the calls. Errors as of Apply
  // in tracker.proto.
  using Applied = std::function<void(absl::StatusOr<v1::ApplyResponse>)>;
  void Apply(const v1::ApplyRequest& request, Applied done);

  // Errors as of NodeAlive in tracker.proto.
  void NodeAlive(const v1::NodeAliveRequest& request, std::function<void(absl::StatusOr<v1::NodeAliveResponse>)> done);

  // What answers a question, once: with a snapshot and the log time now, or with an error and null.
  using Answerer = std::function<void(const absl::Status& status, Reader* snapshot, LogTime now)>;
  void Read(bool stale_ok, Answerer answer);
  // Read's last step: the answer, counted.
  template <typename Request, typename Response>
  absl::Status Answered(Op op, const absl::Status& status, Reader* snapshot, LogTime now, const Request& request,
                        Response& response) {
    absl::Status answer = status.ok() ? Answer(*snapshot, now, request, response) : status;
    if constexpr (requires { response.set_revision(0); }) {
      if (answer.ok()) answer = TellRevision(*snapshot, response);
    }
    metrics_.Done(op, answer.code());
    return answer;
  }

 private:
  // From where a watch tells what the snapshot does not.
  template <typename Response>
  static absl::Status TellRevision(Reader& snapshot, Response& response) {
    const absl::StatusOr<WatchPosition> end = EndOfHistory(snapshot);
    if (end.ok()) response.set_revision(end->revision);
    return end.status();
  }

  Consensus& consensus_;
  RequestMetrics& metrics_;
};

}  // namespace larder::tracker
