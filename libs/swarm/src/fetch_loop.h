#pragma once
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/base/mutex.h"
#include "larder/base/unique_fd.h"
#include "src/child_connection.h"
#include "src/fetch_machine.h"

namespace larder::swarm {

class FetchLoop;

// What other threads ask of a loop. Outlives it, for the sake of late callers. Thread-safe.
class FetchInbox {
 public:
  using Task = std::function<void(FetchLoop&)>;
  FetchInbox();
  int fd() const { return wake_.get(); }  // readable when there is something
  // False once closed: the task will never run.
  bool Post(Task task) LARDER_EXCLUDES(mutex_);
  std::vector<Task> Take() LARDER_EXCLUDES(mutex_);
  // No more tasks come.
  void Close() LARDER_EXCLUDES(mutex_);
  bool closed() const LARDER_EXCLUDES(mutex_);

 private:
  const base::UniqueFd wake_;
  mutable base::Mutex mutex_;
  std::vector<Task> tasks_ LARDER_GUARDED_BY(mutex_);
  bool closed_ LARDER_GUARDED_BY(mutex_) = false;
};

// One thread that carries fetches.
class FetchLoop {
 public:
  FetchLoop(const FetcherOptions& options, ChildParts parts) : options_(options), parts_(parts) {}
  ~FetchLoop() { Stop(); }
  absl::Status Start();
  void Stop();  // ends all fetches, joins; idempotent
  const std::shared_ptr<FetchInbox>& inbox() const { return inbox_; }

  // Tasks only.
  void Begin(uint64_t fetch, FetchRequest request, Fetcher::Callbacks callbacks, uint64_t seed);
  void With(uint64_t fetch, const std::function<void(FetchMachine&, base::MonotonicTime)>& change);

 private:
  struct Connected {
    uint64_t token = 0;
    uint32_t events = 0;  // that are waited for
    std::unique_ptr<ChildConnection> connection;
  };
  struct Active {
    Active(FetchRequest request, const FetcherOptions& options, Metrics& metrics, uint64_t seed,
           base::MonotonicTime now)
        : transfer_class(request.transfer_class), machine(std::move(request), options, metrics, seed, now) {}
    TransferClass transfer_class;
    FetchMachine machine;
    Fetcher::Callbacks callbacks;
    std::unordered_map<FetchMachine::ParentId, Connected> connections;
    base::Duration busy{};  // of the loop, that its machine knows of
  };

  void Run();
  void Handle(uint64_t token, uint32_t events);
  void RunTasks();
  void DoDue();
  // Does what the machine says until it says nothing more; ends the fetch if that is over.
  void Settle(uint64_t fetch);
  void Do(uint64_t fetch, Active& active, const FetchMachine::Action& action);
  void Dial(uint64_t fetch, Active& active, const FetchMachine::Action& action);
  void Disconnect(Active& active, FetchMachine::ParentId parent);
  void Watch(Connected& connected);
  int WaitMilliseconds() const;
  // How long, in all, it did not wait for what comes.
  base::Duration Busy(base::MonotonicTime now) const { return busy_ + (now - round_began_); }

  const FetcherOptions options_;
  const ChildParts parts_;
  const std::shared_ptr<FetchInbox> inbox_ = std::make_shared<FetchInbox>();
  base::UniqueFd epoll_;
  std::unordered_map<uint64_t, std::unique_ptr<Active>> fetches_;
  std::unordered_map<uint64_t, std::pair<uint64_t, FetchMachine::ParentId>> by_token_;
  uint64_t next_token_ = 1;  // 0: the inbox
  base::Duration busy_{};    // in earlier rounds
  base::MonotonicTime round_began_;
  std::thread thread_;
};

}  // namespace larder::swarm
