#pragma once
#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/client/client.h"
#include "tests/agent_process.h"
#include "tests/faults/busy_client.h"
#include "tests/faults/raw_client.h"
#include "tests/faults/witness.h"

namespace larder::cache_agent {

// A number from the environment, for runs longer or shorter than CI's.
int NumberFromEnv(const char* name, int otherwise);

// An agent with an honest creator on it, and what must be true whatever others do to it.
class FaultTest : public testing::Test {
 protected:
  // Starts the agent, puts what busy clients expect, and begins to create kBusyKey.
  void Start(std::vector<std::string> flags = {}, std::vector<std::string> wrapper = {});
  // The same directories, after the agent's end.
  void Restart(std::vector<std::string> flags = {});
  void TearDown() override { EndCreator(); }

  AgentProcess& agent() { return *agent_; }
  std::unique_ptr<client::Client> Connect(client::Options options = {}) const;
  RawClient Raw(const std::string& ns = "default") const;
  BusyClient Busy(Doing doing, const std::string& key) const;
  ChildProcess Faulty() const;
  void DeleteAll(const std::string& prefix, const std::string& ns = "default") const;

  // What the agent holds, by its own metrics and by the kernel's.
  struct Holdings {
    double connections = 0, creating = 0, reading = 0, quarantined = 0, live = 0, sealed = 0;
    AgentProcess::Footprint kernels;
  };
  Holdings Look() const;
  // Waits until it holds no more than `before`.
  void ExpectNothingLeaked(const Holdings& before) const;
  // What Start put is as it was, and a client that comes now is served.
  void ExpectServes() const;
  // The honest creation that was begun before everything goes on, seals, and is read.
  void ExpectCreatorUntouched();
  // The agent is gone, which the honest creator hears.
  void ExpectCreatorLost();
  // The honest creator leaves.
  void EndCreator();

  base::TempDir dir_;
  std::unique_ptr<AgentProcess> agent_;

 private:
  std::unique_ptr<client::Client> creator_;
  std::unique_ptr<object::ObjectWriter> busy_;
};

// The books balance: free, live and quarantined are the arena, or are soon.
void ExpectArenaBalances(const AgentProcess& agent, double arena);

}  // namespace larder::cache_agent
