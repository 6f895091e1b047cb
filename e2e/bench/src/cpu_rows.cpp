// Processor time, with client and server on one processor: what a call takes away from everybody else.
#include "src/grpc_rival.h"
#include "src/rows.h"

namespace larder::bench {

void CpuRows(Bench& bench) {
  Agent agent(bench.dir + "/cpu", "256MiB");
  agent.Put("1m", std::vector<char>(kMiB, 'x').data(), kMiB);
  PinTo(kServerCpu);
  {
    const auto client = Must(client::Client::Connect(agent.endpoint()));
    GrpcUnary grpc(bench.dir);
    const auto timings = bench.watch.CpuInTurn(5000, {
                                                         {agent.pid(), [&] { Must(client->Get("1m")); }},
                                                         {grpc.server(), [&] { grpc.Call(); }},
                                                     });
    bench.report.Add("agent.acquire_cpu", "CPU time of one acquire", timings[0], {{"gRPC unary call", timings[1]}});
  }
  PinTo(kClientCpu);
}

}  // namespace larder::bench
