#include "qat/train/options.h"

#include <fmt/core.h>

#include "qat/base/text.h"

namespace simaqat {
namespace {

// The lines that a run with other than the defaults has: those without keep the text, and so the
// hash, that they had before there were such options.
template <class Line>
void describeOptimizer(const OptimizerOptions& o, Line line) {
  const OptimizerOptions defaults;
  if (o.name != defaults.name) {
    line("optimizer", o.name);
    line("betas", fmt::format("{},{}", o.beta1, o.beta2));
    line("eps", o.epsilon);
  }
  for (const ParameterGroup& group : o.groups) line("group", group.toString());
  if (o.layer_decay != defaults.layer_decay) line("layer-decay", o.layer_decay);
}

template <class Line>
void describeSchedule(const LearningRateSchedule& s, Line line) {
  const LearningRateSchedule defaults;
  for (const Moment& milestone : s.milestones) line("milestone", milestone.toString());
  if (s.gamma != defaults.gamma) line("gamma", s.gamma);
  if (s.power != defaults.power) line("power", s.power);
  if (s.period.count > 0) line("period", s.period.toString());
  if (s.period_factor != defaults.period_factor) line("period-factor", s.period_factor);
  if (s.final_factor) line("final-factor", *s.final_factor);
}

}  // namespace

std::string describeOptions(const TrainOptions& o) {
  std::string text;
  const auto line = [&](const char* name, const auto& value) {
    text += fmt::format("{}={}\n", name, value);
  };
  const auto list = [&](const char* name, const std::vector<std::string>& values) {
    line(name, joined(values, ","));
  };
  line("split", o.split);
  list("bind", o.binds);
  line("epochs", o.epochs);
  line("steps", o.steps);
  line("batch-size", o.batch_size);
  line("lr", o.optimizer.learning_rate);
  line("quantizer-lr", o.optimizer.quantizer_learning_rate);
  line("momentum", o.optimizer.momentum);
  line("nesterov", o.optimizer.nesterov);
  line("weight-decay", o.optimizer.weight_decay);
  list("no-decay", o.optimizer.no_decay);
  line("clip-norm", o.optimizer.clip_norm);
  line("schedule", o.schedule.name);
  line("warmup", o.schedule.warmup);
  list("train", o.train_patterns);
  list("freeze", o.freeze_patterns);
  list("stop-gradient", o.stop_gradients);
  line("ema", o.optimizer.average_decay);
  line("distill", fmt::format("{},{}", o.distill_weight, o.distill_temperature));
  line("quantize-after", o.quantize_after.toString());
  line("freeze-bn-after", o.freeze_bn_after.toString());
  line("freeze-observers-after", o.freeze_observers_after.toString());
  line("reestimate-bn", o.reestimate_bn);
  line("bn-running-var", o.unbiased_running_var ? "unbiased" : "biased");
  line("on-nonfinite", o.skip_nonfinite ? "skip" : "stop");
  line("init", o.random_init ? "random" : "file");
  line("calibrate", o.calibrate);
  line("correct-biases", o.correct_biases);
  line("seed", o.seed);
  if (o.bfloat16_gradients) line("backward", "bf16");
  if (o.execution == Execution::kReference) line("reference", true);
  line("keep", o.keep_best ? "best" : "last");
  line("best-by", o.best_by);
  describeOptimizer(o.optimizer, line);
  describeSchedule(o.schedule, line);
  line("eval-every", o.keep_best ? o.eval_every : 0);
  line("eval-split", o.keep_best ? o.eval_split : "");
  return text;
}

}  // namespace simaqat
