#pragma once
#include "core/consensus.h"
#include "larder/base/clock.h"
#include "larder/resp/commands.h"

namespace larder::tracker {

// Redis commands on the group: reads are linearizable, writes acknowledged once a quorum has them on disk. They see
// data of the Redis protocol only, nothing of the registry.
class RespCommands final : public resp::Commands {
 public:
  // Borrows both; calls may end as long as `consensus` lives.
  RespCommands(Consensus& consensus, const base::Clock& clock) : consensus_(consensus), clock_(clock) {}

  void Execute(resp::Call call, resp::Done done) override;

 private:
  void Execute(const resp::Call& call, const resp::Get& get, resp::Done done);
  void Execute(const resp::Call& call, const resp::Set& set, resp::Done done);
  void Execute(const resp::Call& call, const resp::Del& del, resp::Done done);

  Consensus& consensus_;
  const base::Clock& clock_;
};

}  // namespace larder::tracker
