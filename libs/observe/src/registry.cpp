#include "larder/observe/registry.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <sstream>
#include <utility>
#include <variant>

#include "larder/base/mutex.h"

namespace larder::observe {
namespace {

using internal::LabelTexts;
using LabelValues = std::vector<std::string>;

struct LabelOrder {
  using is_transparent = void;
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
};
template <typename T>
using SeriesMap = std::map<LabelValues, T, LabelOrder>;

// The series of these labels, or, when there are too many, the one that all others share.
template <typename T>
T& SeriesAt(SeriesMap<T>& series, LabelTexts labels) {
  if (const auto found = series.find(labels); found != series.end()) return found->second;
  if (series.size() >= kMaxSeries) return series[LabelValues(labels.size(), "other")];
  return series[LabelValues(labels.begin(), labels.end())];
}

template <typename Metric>
class FamilyImpl final : public internal::Family<Metric> {
 public:
  explicit FamilyImpl(const std::vector<double>& buckets) : buckets_(buckets) {}

  Metric& At(LabelTexts labels) override {
    base::MutexLock lock(mutex_);
    std::unique_ptr<Metric>& metric = SeriesAt(series_, labels);
    if (metric == nullptr) {
      if constexpr (std::same_as<Metric, Histogram>) {
        metric = std::make_unique<Histogram>(buckets_);
      } else {
        metric = std::make_unique<Metric>();
      }
    }
    return *metric;
  }

  template <typename Visit>
  void ForEach(const Visit& visit) {
    base::MutexLock lock(mutex_);
    for (const auto& [labels, metric] : series_) visit(labels, *metric);
  }

 private:
  const std::vector<double>& buckets_;
  base::Mutex mutex_;
  SeriesMap<std::unique_ptr<Metric>> series_ LARDER_GUARDED_BY(mutex_);
};

prometheus::MetricType TypeFor(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      break;
  }
  return prometheus::MetricType::Histogram;
}

prometheus::ClientMetric WithLabels(const Declaration& declaration, const LabelValues& values) {
  prometheus::ClientMetric client;
  for (size_t i = 0; i < values.size(); ++i) client.label.push_back({declaration.labels[i], values[i]});
  return client;
}

prometheus::ClientMetric::Histogram Cumulated(const Histogram::Snapshot& snapshot) {
  prometheus::ClientMetric::Histogram histogram;
  uint64_t total = 0;
  for (size_t i = 0; i < snapshot.counts.size(); ++i) {
    total += snapshot.counts[i];
    const double bound = i < snapshot.bounds.size() ? snapshot.bounds[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({total, bound});
  }
  histogram.sample_count = total;
  histogram.sample_sum = snapshot.sum;
  return histogram;
}

}  // namespace

struct Registry::Impl {
  struct Entry {
    explicit Entry(Declaration d) : declaration(std::move(d)) {}
    const Declaration declaration;
    // Empty while the metric is only watched.
    std::variant<std::monostate, FamilyImpl<Counter>, FamilyImpl<Gauge>, FamilyImpl<Histogram>> family;
  };
  struct Reader {
    std::string name;
    internal::ReadSamples read;
  };

  Entry& EntryOf(Declaration declaration) LARDER_REQUIRES(mutex) {
    std::unique_ptr<Entry>& entry = entries[declaration.name];
    if (entry == nullptr) {
      entry = std::make_unique<Entry>(std::move(declaration));
    } else if (entry->declaration != declaration) {
      std::fprintf(stderr, "larder: metric %s is declared in two ways\n", declaration.name.c_str());
      std::abort();
    }
    return *entry;
  }

  // `watched` are the sums of the callbacks; values kept here are added to them.
  static prometheus::MetricFamily Exposed(Entry& entry, SeriesMap<double> watched) {
    const Declaration& declaration = entry.declaration;
    prometheus::MetricFamily exposed = {declaration.name, declaration.help, TypeFor(declaration.type), {}};
    const auto add = [&](const LabelValues& labels, const auto& metric) {
      watched[labels] += static_cast<double>(metric.value());
    };
    if (auto* counters = std::get_if<FamilyImpl<Counter>>(&entry.family)) counters->ForEach(add);
    if (auto* gauges = std::get_if<FamilyImpl<Gauge>>(&entry.family)) gauges->ForEach(add);
    for (const auto& [labels, value] : watched) {
      prometheus::ClientMetric client = WithLabels(declaration, labels);
      client.counter.value = client.gauge.value = value;
      exposed.metric.push_back(std::move(client));
    }
    if (auto* histograms = std::get_if<FamilyImpl<Histogram>>(&entry.family)) {
      histograms->ForEach([&](const LabelValues& labels, const Histogram& histogram) {
        prometheus::ClientMetric client = WithLabels(declaration, labels);
        client.histogram = Cumulated(histogram.Read());
        exposed.metric.push_back(std::move(client));
      });
    }
    return exposed;
  }

  std::map<std::string, SeriesMap<double>> ReadWatched() LARDER_EXCLUDES(readers_mutex) {
    std::map<std::string, SeriesMap<double>> watched;
    base::MutexLock lock(readers_mutex);
    for (const auto& [id, reader] : readers) {
      SeriesMap<double>& series = watched[reader.name];
      reader.read([&](double value, LabelTexts labels) { SeriesAt(series, labels) += value; });
    }
    return watched;
  }

  base::Mutex mutex;
  std::map<std::string, std::unique_ptr<Entry>> entries LARDER_GUARDED_BY(mutex);
  // Apart from `mutex`, so that what a callback locks is never behind the lock that Add takes.
  base::Mutex readers_mutex;
  std::map<uint64_t, Reader> readers LARDER_GUARDED_BY(readers_mutex);
  uint64_t next_id LARDER_GUARDED_BY(readers_mutex) = 1;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

template <typename Metric>
internal::Family<Metric>& Registry::FamilyOf(Declaration declaration) {
  base::MutexLock lock(impl_->mutex);
  Impl::Entry& entry = impl_->EntryOf(std::move(declaration));
  if (std::holds_alternative<std::monostate>(entry.family)) {
    return entry.family.emplace<FamilyImpl<Metric>>(entry.declaration.buckets);
  }
  return std::get<FamilyImpl<Metric>>(entry.family);
}
template internal::Family<Counter>& Registry::FamilyOf(Declaration);
template internal::Family<Gauge>& Registry::FamilyOf(Declaration);
template internal::Family<Histogram>& Registry::FamilyOf(Declaration);

Registry::Watch Registry::AddRead(Declaration declaration, internal::ReadSamples read) {
  std::string name = declaration.name;
  {
    base::MutexLock lock(impl_->mutex);
    impl_->EntryOf(std::move(declaration));
  }
  base::MutexLock lock(impl_->readers_mutex);
  const uint64_t id = impl_->next_id++;
  impl_->readers.emplace(id, Impl::Reader{std::move(name), std::move(read)});
  return Watch(this, id);
}

void Registry::Remove(uint64_t id) {
  base::MutexLock lock(impl_->readers_mutex);
  impl_->readers.erase(id);
}

std::string Registry::Render() const {
  std::map<std::string, SeriesMap<double>> watched = impl_->ReadWatched();
  std::vector<prometheus::MetricFamily> families;
  {
    base::MutexLock lock(impl_->mutex);
    for (const auto& [name, entry] : impl_->entries)
      families.push_back(Impl::Exposed(*entry, std::move(watched[name])));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

std::vector<Declaration> Registry::Declarations() const {
  base::MutexLock lock(impl_->mutex);
  std::vector<Declaration> declarations;
  for (const auto& [name, entry] : impl_->entries) declarations.push_back(entry->declaration);
  return declarations;
}

Registry::Watch::Watch(Watch&& other) noexcept : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}

Registry::Watch& Registry::Watch::operator=(Watch&& other) noexcept {
  std::swap(registry_, other.registry_);
  std::swap(id_, other.id_);
  return *this;
}

Registry::Watch::~Watch() {
  if (registry_ != nullptr) registry_->Remove(id_);
}

}  // namespace larder::observe
