#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "larder/observe/label.h"
#include "larder/observe/metric.h"

namespace larder::observe {

// Upper bounds for latencies in seconds, 50 µs to 60 s, and for sizes in bytes, 1 KiB to 4 GiB.
inline constexpr std::array<double, 15> kSecondsBuckets = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                           0.05,    0.1,    0.5,     1,      5,     10,     60};
inline constexpr std::array<double, 12> kBytesBuckets = {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20,
                                                         1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 4.0 * (1 << 30)};

// A metric's declaration, a constant beside what it measures:
//
//   inline constexpr observe::CounterDecl<Op, absl::StatusCode> kRequests = {
//       .name = "larder_agent_requests_total", .help = "Requests by operation and outcome.", .labels = {"op", "code"}};
//
// The types of the labels' values are part of it, so a call with others does not compile.
template <typename Metric, Label... Labels>
struct MetricDecl {
  std::string_view name;
  std::string_view help;
  std::array<std::string_view, sizeof...(Labels)> labels = {};
  std::span<const double> buckets = kSecondsBuckets;  // of a histogram
};
template <Label... Labels>
using CounterDecl = MetricDecl<Counter, Labels...>;
template <Label... Labels>
using GaugeDecl = MetricDecl<Gauge, Labels...>;
template <Label... Labels>
using HistogramDecl = MetricDecl<Histogram, Labels...>;

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };
template <typename Metric>
inline constexpr MetricType kTypeOf = MetricType::kCounter;
template <>
inline constexpr MetricType kTypeOf<Gauge> = MetricType::kGauge;
template <>
inline constexpr MetricType kTypeOf<Histogram> = MetricType::kHistogram;

// A declaration without its types: what docs/metrics.md and the golden list are made of.
struct Declaration {
  MetricType type;
  std::string name;
  std::string help;
  std::vector<std::string> labels;
  std::vector<double> buckets;  // empty but for histograms
  bool operator==(const Declaration&) const = default;
};

// More series than this of one metric are counted together under labels that all read "other": a last guard of the
// scrape's size, should a bounded name turn out not to be.
inline constexpr size_t kMaxSeries = 2000;

namespace internal {

using LabelTexts = std::span<const std::string_view>;

// All series of one metric. Thread-safe.
template <typename Metric>
class Family {
 public:
  virtual ~Family() = default;
  virtual Metric& At(LabelTexts labels) = 0;
};

using EmitSample = std::function<void(double value, LabelTexts labels)>;
using ReadSamples = std::function<void(const EmitSample&)>;

}  // namespace internal

// The series of a metric with labels; a cheap handle, valid as long as its registry. Thread-safe.
template <typename Metric, Label... Labels>
class Labelled {
 public:
  explicit Labelled(internal::Family<Metric>& family) : family_(&family) {}
  // The series of these values, made on first use. Takes a lock to find it: a hot path keeps the reference, which lives
  // as long as the registry.
  Metric& With(const Labels&... values) const {
    const std::array<std::string_view, sizeof...(Labels)> texts = {LabelText(values)...};
    return family_->At(texts);
  }

 private:
  internal::Family<Metric>* family_;
};
template <Label... Labels>
using Counters = Labelled<Counter, Labels...>;
template <Label... Labels>
using Gauges = Labelled<Gauge, Labels...>;
template <Label... Labels>
using Histograms = Labelled<Histogram, Labels...>;

// What a callback hands its values to: sample(value, labels...).
template <Label... Labels>
using Sample = std::function<void(double value, const Labels&... labels)>;

// The metrics of one process, or of one App where several share a process: an instance, never a global. Thread-safe.
// Must outlive what it hands out.
class Registry {
 public:
  // Keeps a callback registered. Its end waits for a scrape that is in the callback, so do not hold a lock there that
  // the callback takes.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;
    ~Watch();

   private:
    friend class Registry;
    Watch(Registry* registry, uint64_t id) : registry_(registry), id_(id) {}
    Registry* registry_ = nullptr;
    uint64_t id_ = 0;
  };

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The metric (a reference if it has no labels, else a Labelled), made on first use: components that declare the same
  // share it. Two different declarations of one name are a bug and end the process.
  template <typename Metric, Label... Labels>
  auto Add(const MetricDecl<Metric, Labels...>& decl)
      -> std::conditional_t<sizeof...(Labels) == 0, Metric&, Labelled<Metric, Labels...>> {
    internal::Family<Metric>& family = FamilyOf<Metric>(Untyped(decl));
    if constexpr (sizeof...(Labels) == 0) {
      return family.At({});
    } else {
      return Labelled<Metric, Labels...>(family);
    }
  }

  // A metric read at each scrape, by the scraping thread, as long as the result lives. `read` may be slow-ish (a count
  // under a lock), never blocking, and must not call this registry. Values given for the same labels add up.
  template <typename Metric>
    requires(!std::same_as<Metric, Histogram>)
  [[nodiscard]] Watch AddWatch(const MetricDecl<Metric>& decl, std::function<double()> read) {
    return AddRead(Untyped(decl), [read = std::move(read)](const internal::EmitSample& emit) { emit(read(), {}); });
  }
  template <typename Metric, Label... Labels>
    requires(!std::same_as<Metric, Histogram> && sizeof...(Labels) > 0)
  [[nodiscard]] Watch AddWatch(const MetricDecl<Metric, Labels...>& decl,
                               std::type_identity_t<std::function<void(const Sample<Labels...>&)>> read) {
    return AddRead(Untyped(decl), [read = std::move(read)](const internal::EmitSample& emit) {
      read([&emit](double value, const Labels&... labels) {
        const std::array<std::string_view, sizeof...(Labels)> texts = {LabelText(labels)...};
        emit(value, texts);
      });
    });
  }

  // Everything in Prometheus' text format 0.0.4, metrics by name, series by labels.
  std::string Render() const;
  // All that was declared so far, by name.
  std::vector<Declaration> Declarations() const;

 private:
  struct Impl;

  template <typename Metric, Label... Labels>
  static Declaration Untyped(const MetricDecl<Metric, Labels...>& decl) {
    Declaration untyped = {kTypeOf<Metric>, std::string(decl.name), std::string(decl.help), {}, {}};
    untyped.labels.assign(decl.labels.begin(), decl.labels.end());
    if (untyped.type == MetricType::kHistogram) untyped.buckets.assign(decl.buckets.begin(), decl.buckets.end());
    return untyped;
  }
  template <typename Metric>
  internal::Family<Metric>& FamilyOf(Declaration declaration);
  Watch AddRead(Declaration declaration, internal::ReadSamples read);
  void Remove(uint64_t id);

  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::observe
