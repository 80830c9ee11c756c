#include "tools/report_html.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "qat/base/text.h"
#include "tools/command.h"

namespace simaqat {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kWidth = 300;
constexpr double kHeight = 60;

constexpr char kStyle[] =
    "body{font:14px sans-serif;margin:2em;color:#222}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right;vertical-align:middle}"
    "td:first-child,th:first-child{text-align:left;font-family:monospace}"
    "svg{background:#f6f6f6}.bar{fill:#4a78b5}.range{fill:#cfe3cf}"
    ".lo{fill:none;stroke:#b5544a}.hi{fill:none;stroke:#4a78b5}";

std::string escaped(const std::string& text) {
  std::string result;
  for (char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string text(const Json& json) {
  if (json.is_null()) return "-";
  if (json.is_string()) return escaped(json.get<std::string>());
  if (json.is_number_float()) return fmt::format("{:.4g}", json.get<double>());
  return json.dump();
}

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string line = "<tr>";
  for (const std::string& cell : cells) line += fmt::format("<{0}>{1}</{0}>", tag, cell);
  return line + "</tr>\n";
}

// Counts as bars of their logarithms, so that rare values show, on the range that codes stand for.
std::string histogram(const Json& quantizer) {
  const Json& drawn = quantizer["histogram"];
  const std::vector<double> counts = drawn["counts"].get<std::vector<double>>();
  const double first = drawn["first"].get<double>();
  const double last = drawn["last"].get<double>();
  const auto x = [&](double value) { return (value - first) / (last - first) * kWidth; };
  const double most = std::log1p(*std::max_element(counts.begin(), counts.end()));
  const double lo = quantizer["range"][0].get<double>();
  const double hi = quantizer["range"][1].get<double>();
  std::string svg = fmt::format("<svg width='{}' height='{}'>", kWidth, kHeight);
  svg += fmt::format("<rect class='range' x='{:.1f}' y='0' width='{:.1f}' height='{}'/>", x(lo),
                     x(hi) - x(lo), kHeight);
  const double width = kWidth / static_cast<double>(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    const double height = most > 0 ? std::log1p(counts[i]) / most * kHeight : 0;
    if (height == 0) continue;
    svg += fmt::format("<rect class='bar' x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}'/>",
                       static_cast<double>(i) * width, kHeight - height, width, height);
  }
  return svg + "</svg>";
}

struct Trajectory {
  std::vector<double> steps;
  std::vector<double> ends[2];
};

// Of each value, from the lines of a metrics file.
std::map<std::string, Trajectory> trajectoriesOf(const std::string& metrics) {
  std::map<std::string, Trajectory> found;
  std::istringstream lines(metrics);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    try {
      const Json json = Json::parse(line);
      if (!json.is_object()) throw inputError("line {} is no JSON object", number);
      if (!json.contains("ranges")) continue;
      for (const auto& [value, range] : json.at("ranges").at("values").items()) {
        if (range.at(0).is_null() || range.at(1).is_null()) continue;
        Trajectory& trajectory = found[value];
        trajectory.steps.push_back(json.at("ranges").at("step").get<double>());
        for (size_t i = 0; i < 2; ++i) trajectory.ends[i].push_back(range.at(i).get<double>());
      }
    } catch (const Json::exception&) {
      throw inputError("line {} is not one of a run's metrics", number);
    }
  }
  if (found.empty()) throw inputError("there are no ranges in it; train with --log-ranges");
  return found;
}

std::string draw(const Trajectory& trajectory) {
  double least = 0;
  double most = 0;
  for (const auto& end : trajectory.ends) {
    least = std::min(least, *std::min_element(end.begin(), end.end()));
    most = std::max(most, *std::max_element(end.begin(), end.end()));
  }
  const double first = trajectory.steps.front();
  const double span = std::max(1.0, trajectory.steps.back() - first);
  std::string svg = fmt::format("<svg width='{}' height='{}'>", kWidth, kHeight);
  for (size_t i = 0; i < 2; ++i) {
    svg += fmt::format("<polyline class='{}' points='", i == 0 ? "lo" : "hi");
    for (size_t k = 0; k < trajectory.steps.size(); ++k) {
      const double y = (trajectory.ends[i][k] - least) / std::max(most - least, 1e-30);
      svg += fmt::format("{:.1f},{:.1f} ", (trajectory.steps[k] - first) / span * kWidth,
                         (1 - y) * (kHeight - 2) + 1);
    }
    svg += "'/>";
  }
  return svg + "</svg>";
}

std::string quantizerTable(const Json& report, const std::string* metrics) {
  std::map<std::string, Trajectory> trajectories;
  if (metrics != nullptr) trajectories = trajectoriesOf(*metrics);
  std::vector<std::string> head = {"value", "kind", "range", "codes used", "clipped",
                                   "SQNR of its own, dB", "SQNR here, dB", "FP32 values"};
  if (!trajectories.empty()) head.push_back("range by step");
  std::string html = "<h2>Quantizers</h2>\n<table>\n" + row(head, "th");
  for (const Json& quantizer : report["quantizers"]) {
    std::vector<std::string> cells = {
        text(quantizer["value"]),
        text(quantizer["kind"]),
        text(quantizer["range"][0]) + " to " + text(quantizer["range"][1]),
        text(quantizer["codes_used"]) + " of " + text(quantizer["codes"]),
        fmt::format("{:.3f}%", 100 * quantizer["clipped"].get<double>()),
        text(quantizer["own_sqnr_db"]),
        text(quantizer["sqnr_db"]),
        histogram(quantizer)};
    const auto trajectory = trajectories.find(quantizer["value"].get<std::string>());
    if (trajectory != trajectories.end()) cells.push_back(draw(trajectory->second));
    html += row(cells);
  }
  return html + "</table>\n";
}

std::string layerTable(const Json& report) {
  std::string html = "<h2>Each layer alone quantized</h2>\n<table>\n" +
                     row({"layer", "operator", "loss", "top1", "FP32 bytes", "bytes"}, "th");
  const auto whole = [&](const char* name, const Json& result) {
    const auto part = [&](const char* key) {
      return result.contains(key) ? text(result[key]) : std::string("-");
    };
    html += row({name, "", part("loss"), part("top1"), "", ""});
  };
  whole("none (FP32)", report["float"]);
  for (const Json& layer : report["layers"]) {
    html += row({text(layer["node"]), text(layer["op_type"]), text(layer["loss"]),
                 text(layer["top1"]), text(layer["float_bytes"]), text(layer["quantized_bytes"])});
  }
  whole("all, with every activation", report["quantized"]);
  return html + "</table>\n";
}

}  // namespace

std::string reportPage(const std::string& title, const Json& description,
                       const std::string* metrics) {
  const Json& report = description["report"];
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>{0}</title><style>{1}</style>"
      "</head><body>\n<h1>{0}</h1>\n",
      escaped(title), kStyle);
  html += fmt::format(
      "<p>{}, {} parameters: {} as FP32, {} quantized. Measured on {} samples.</p>\n",
      text(description["stage"]), text(description["parameters"]),
      readableBytes(description["float_bytes"].get<int64_t>()),
      readableBytes(description["quantized_bytes"].get<int64_t>()), text(report["samples"]));
  html += layerTable(report) + quantizerTable(report, metrics);
  return html + "</body></html>\n";
}

}  // namespace simaqat
