#include "csi/csi_metrics.h"

#include <chrono>

namespace larder::cache_agent::csi {
namespace {

constexpr observe::GaugeDecl<> kVolumes = {.name = "larder_csi_volumes",
                                           .help = "Volumes of this node's pods that have sockets of their own."};
constexpr observe::CounterDecl<CsiOp, absl::StatusCode> kRequests = {
    .name = "larder_csi_requests_total",
    .help = "Volumes that the kubelet asked to publish and to unpublish, by outcome.",
    .labels = {"op", "code"}};
constexpr observe::HistogramDecl<CsiOp> kSeconds = {
    .name = "larder_csi_request_duration_seconds", .help = "Time to publish or unpublish a volume.", .labels = {"op"}};
constexpr observe::CounterDecl<> kOrphans = {
    .name = "larder_csi_orphans_removed_total",
    .help = "Volumes removed though nobody unpublished them: their mount had been gone for two minutes."};

}  // namespace

std::string_view LabelText(CsiOp op) { return op == CsiOp::kPublish ? "publish" : "unpublish"; }

CsiMetrics::CsiMetrics(observe::Registry& registry)
    : volumes_(registry.Add(kVolumes)),
      requests_(registry.Add(kRequests)),
      seconds_(registry.Add(kSeconds)),
      orphans_(registry.Add(kOrphans)) {}

void CsiMetrics::Done(CsiOp op, absl::StatusCode code, base::Duration took) {
  requests_.With(op, code).Increment();
  seconds_.With(op).Observe(std::chrono::duration<double>(took).count());
}

}  // namespace larder::cache_agent::csi
