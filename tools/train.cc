#include <unistd.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <optional>

#include "qat/base/log.h"
#include "qat/base/text.h"
#include "qat/train/trainer.h"
#include "tools/command.h"

namespace simaqat {
namespace {

void onSignal(int signal) { interruptSignal = signal; }

class TrainCommand : public Command {
 public:
  const char* name() const override { return "train"; }
  const char* summary() const override {
    return "train a prepared model with quantization, or an FP32 training graph as it is";
  }
  const char* footer() const override {
    return "Examples:\n"
           "  simaqat train prepared.onnx --loss cross_entropy --data data.json -o trained.onnx "
           "\\\n"
           "      --epochs 3 --batch-size 64 --lr 0.01 --schedule cosine\n"
           "  simaqat train model.onnx --loss loss.onnx --data data.json -o fp32.onnx --init "
           "random\n"
           "  simaqat train prepared.onnx --loss cross_entropy --data data.json -o ptq.onnx \\\n"
           "      --steps 0 --calibrate 100\n"
           "  simaqat train prepared.onnx --loss cross_entropy --data data.json -o trained.onnx "
           "\\\n"
           "      --teacher fp32.onnx --distill 0.5,4 --freeze-bn-after 2e --ema 0.999\n"
           "  simaqat train --config train.ini    (lines such as lr=0.01)\n\n"
           "An interrupted run (SIGINT, SIGTERM) writes its checkpoint and tells how to go on.";
  }
  void declare(OptionSet& set) override {
    TrainOptions& o = options_;
    set.add("MODEL", o.model, "A prepared or trained model, or an FP32 training graph").required();
    set.add("--loss", o.loss, "A loss graph (ONNX), or cross_entropy, or mse").required();
    set.add("--data", o.manifest, "The data manifest (JSON)").required();
    set.add("-o,--output", o.output, "The trained model to write").required();
    set.add("--split", o.split, "The split to train on").showDefault();
    set.add("--bind", o.binds, "LOSS_INPUT=SOURCE: where an input of the loss comes from");
    declareTeacher(set);
    declareLength(set);
    declareOptimizer(set);
    declareSchedule(set);
    declareModes(set);
    declareEvaluation(set);
    declareCheckpoints(set);
  }

  int run() override {
    options_.unbiased_running_var = running_var_ == "unbiased";
    options_.skip_nonfinite = on_nonfinite_ == "skip";
    options_.random_init = init_ == "random";
    options_.keep_best = keep_ == "best";
    options_.bfloat16_gradients = asksForBfloat16(backward_);
    if (!distill_.empty()) takeDistillation();
    takeOptimizer();
    takeSchedule();
    if (options_.keep_best && options_.best_by.empty()) options_.best_by = "top1:max";
    if (options_.keep_best && options_.eval_every == 0) options_.eval_every = 1;
    options_.progress_bar = ::isatty(STDERR_FILENO) != 0;
    options_.show_parameters = [](const auto& rows) {
      logInfo("{}", table(rows));
    };
    std::signal(SIGINT, onSignal);
    std::signal(SIGTERM, onSignal);
    const TrainResult result = train(options_);
    if (result.signal != 0) {
      logInfo("interrupted after step {}; to go on, give the same command with --resume {}",
              result.steps, result.checkpoint);
      return 128 + result.signal;
    }
    if (result.steps > 0) {
      logInfo("{} steps, last loss {:.4f}{}", result.steps, result.last_loss,
              result.skipped_steps > 0 ? fmt::format(", {} left out", result.skipped_steps) : "");
    }
    return 0;
  }

 private:
  void takeDistillation() {
    options_.distill_weight = distill_[0];
    options_.distill_temperature = distill_[1];
    if (distill_[0] > 1 || distill_[1] == 0) {
      throw usageError("--distill {},{}: expected a weight from 0 to 1 and a temperature above 0",
                       distill_[0], distill_[1]);
    }
  }

  // Each optimizer's defaults are PyTorch's, except SGD's rate and momentum; what it does not have
  // is an error.
  void takeOptimizer() {
    OptimizerOptions& o = options_.optimizer;
    const bool is_sgd = o.name == "sgd";
    if (!is_sgd && (momentum_ || o.nesterov)) {
      throw usageError("--optimizer {}: has no {} (sgd has)", o.name,
                       momentum_ ? "--momentum" : "--nesterov");
    }
    if (is_sgd && (!betas_.empty() || epsilon_)) {
      throw usageError("--optimizer sgd: has no {} (adam and adamw have)",
                       betas_.empty() ? "--eps" : "--betas");
    }
    o.learning_rate = learning_rate_.value_or(is_sgd ? 0.01f : 0.001f);
    o.weight_decay = weight_decay_.value_or(o.name == "adamw" ? 0.01f : 0.0f);
    o.momentum = momentum_.value_or(o.momentum);
    o.epsilon = epsilon_.value_or(o.epsilon);
    if (!betas_.empty()) {
      o.beta1 = betas_[0];
      o.beta2 = betas_[1];
    }
    for (const std::string& text : groups_) {
      o.groups.push_back(ParameterGroup::parse(text));
      if (o.groups.back().learning_rate && o.learning_rate == 0) {
        throw usageError("--group {}: a learning rate of its own requires --lr above 0", text);
      }
    }
  }

  void takeSchedule() {
    LearningRateSchedule& s = options_.schedule;
    for (const std::string& text : milestones_) {
      const std::optional<Moment> milestone = Moment::parse(text);
      if (!milestone) throw usageError("--milestones {}: expected N steps or Ne epochs", text);
      s.milestones.push_back(*milestone);
    }
    if (final_rate_) {
      if (options_.optimizer.learning_rate == 0) {
        throw usageError("--final-lr {}: requires --lr above 0", *final_rate_);
      }
      s.final_factor = *final_rate_ / double{options_.optimizer.learning_rate};
    }
    checkSchedule(s);
  }

  void declareTeacher(OptionSet& set) {
    constexpr double kMost = std::numeric_limits<float>::max();
    Option teacher = set.add("--teacher", options_.teacher,
                             "An FP32 model, whose outputs the loss sees as teacher/NAME");
    set.add("--distill", distill_,
            "WEIGHT,TEMPERATURE: the share of the loss that compares with the teacher")
        .commaSeparated()
        .values(2)
        .needs(teacher)
        .between(0, kMost);
  }

  void declareLength(OptionSet& set) {
    TrainOptions& o = options_;
    set.count("--epochs", o.epochs, "Passes over the data").showDefault();
    set.count("--steps", o.steps, "Steps, instead of epochs");
    set.count("--batch-size", o.batch_size, "Samples a step", 1).showDefault();
    set.add("--seed", o.seed, "Decides order, augmentation and initialization")
        .showDefault()
        .between(0, 1.8e19);
    set.threads(o.threads);
    Option limit =
        set.bytes("--memory-limit", o.memory_limit,
                  "Compute values again until a step's values, weights and state are within this");
    Option backward = set.backward(backward_);
    set.reference(o.execution).excludes(limit).excludes(backward);
  }

  void declareOptimizer(OptionSet& set) {
    constexpr double kMost = std::numeric_limits<float>::max();
    OptimizerOptions& o = options_.optimizer;
    set.add("--optimizer", o.name, "sgd, adam or adamw").showDefault().oneOf(optimizerNames());
    set.add("--lr", learning_rate_, "Learning rate (default: sgd 0.01, adam and adamw 0.001)")
        .between(0, kMost);
    set.add("--momentum", momentum_, "SGD's momentum (default 0.9)").between(0, 1);
    set.flag("--nesterov", o.nesterov, "Nesterov's momentum, of SGD");
    set.add("--betas", betas_, "BETA1,BETA2 of adam and adamw (default 0.9,0.999)")
        .commaSeparated()
        .values(2)
        .between(0, std::nextafter(1.0, 0.0));
    set.add("--eps", epsilon_, "Adam's and adamw's epsilon (default 1e-8)").between(0, kMost);
    set.add("--weight-decay", weight_decay_,
            "Weight decay (default: adamw 0.01, the others 0); an L2 penalty except in adamw")
        .between(0, kMost);
    set.add("--no-decay", o.no_decay, "No weight decay for these (patterns, bias, norm)")
        .commaSeparated();
    set.add("--group", groups_,
            "PATTERN:lr=X,weight_decay=Y: what these parameters have of their own (repeatable; the "
            "first that matches counts)");
    set.add("--layer-decay", o.layer_decay,
            "Multiply the learning rate by this from each numbered layer to the one before it")
        .between(0, 1);
    set.add("--quantizer-lr", o.quantizer_learning_rate,
            "The learning rate of learned scales (default: that of --lr)")
        .between(0, kMost);
    set.add("--clip-norm", o.clip_norm, "Clip the gradient's norm to this").between(0, kMost);
    set.add("--ema", o.average_decay,
            "Save an average of the weights over the steps, with this decay (0.999)")
        .between(0, 1);
  }

  void declareSchedule(OptionSet& set) {
    constexpr double kMost = std::numeric_limits<double>::max();
    LearningRateSchedule& s = options_.schedule;
    set.add("--schedule", s.name, joined(scheduleNames()).c_str())
        .showDefault()
        .oneOf(scheduleNames());
    set.count("--warmup", s.warmup, "Steps of linear increase at the start");
    set.add("--milestones", milestones_,
            "N or Ne, ...: steps or epochs at which multistep multiplies the rate by --gamma")
        .commaSeparated();
    set.add("--gamma", s.gamma, "The factor of multistep, and of exponential after each epoch")
        .showDefault()
        .between(0, 1);
    set.add("--power", s.power, "The exponent of polynomial").showDefault().between(0, kMost);
    set.moment("--period", s.period, "How long cosine_restarts falls before it begins again");
    set.add("--period-factor", s.period_factor, "How much longer each next period is")
        .showDefault()
        .between(1, kMost);
    set.add("--final-lr", final_rate_,
            "Where exponential, polynomial, cosine, cosine_restarts and onecycle end (default 0, "
            "onecycle 4e-6 of --lr)")
        .between(0, kMost);
  }

  void declareModes(OptionSet& set) {
    TrainOptions& o = options_;
    set.add("--train", o.train_patterns, "Train these weights too (patterns or kinds)")
        .commaSeparated();
    set.add("--freeze", o.freeze_patterns, "Do not train these").commaSeparated();
    set.add("--stop-gradient", o.stop_gradients,
            "No gradient passes values of this name (a pattern) in the model or the loss")
        .commaSeparated();
    set.moment("--quantize-after", o.quantize_after,
               "Until this step (or epoch) observers look on, and values stay float");
    set.moment("--freeze-bn-after", o.freeze_bn_after,
               "From this step (or epoch) on BatchNormalization uses its running statistics");
    set.moment("--freeze-observers-after", o.freeze_observers_after,
               "From this step (or epoch) on ranges stay");
    set.count("--reestimate-bn", o.reestimate_bn,
              "At the end estimate BatchNormalization's statistics anew on this many batches");
    set.add("--bn-running-var", running_var_, "biased (ONNX) or unbiased (PyTorch)")
        .showDefault()
        .oneOf({"biased", "unbiased"});
    set.add("--on-nonfinite", on_nonfinite_, "stop, or skip the step")
        .showDefault()
        .oneOf({"stop", "skip"});
    set.add("--init", init_, "file, or random (He initialization)")
        .showDefault()
        .oneOf({"file", "random"});
    set.count("--calibrate", o.calibrate, "First observe ranges on this many batches");
    set.count("--correct-biases", o.correct_biases,
              "Then take what quantization adds to channels' means, over this many batches, out of "
              "the biases");
  }

  void declareEvaluation(OptionSet& set) {
    TrainOptions& o = options_;
    set.add("--eval-split", o.eval_split, "Default: validation, val or test");
    set.count("--eval-every", o.eval_every, "Evaluate every so many epochs");
    set.add("--keep", keep_, "What is written: the last state or the best")
        .showDefault()
        .oneOf({"last", "best"});
    set.add("--best-by", o.best_by, "NAME:min or NAME:max (default top1:max)");
    Option metrics = set.add("--metrics", o.metrics, "Write a JSON object a step to this file");
    set.count("--log-ranges", o.log_ranges, "Write ranges as well, every so many steps")
        .needs(metrics);
  }

  void declareCheckpoints(OptionSet& set) {
    TrainOptions& o = options_;
    Option checkpoint = set.add("--checkpoint", o.checkpoint, "Where to keep the state of the run");
    set.count("--checkpoint-every", o.checkpoint_every, "Every so many steps").needs(checkpoint);
    set.add("--resume", o.resume, "Go on from this checkpoint");
  }

  TrainOptions options_;
  std::string backward_ = "fp32";
  std::string running_var_ = "biased";
  std::string on_nonfinite_ = "stop";
  std::string init_ = "file";
  std::string keep_ = "last";
  std::vector<float> distill_;
  std::optional<float> learning_rate_, weight_decay_, momentum_, epsilon_;
  std::vector<double> betas_;
  std::vector<std::string> groups_;
  std::vector<std::string> milestones_;
  std::optional<double> final_rate_;
};

}  // namespace

std::unique_ptr<Command> makeTrainCommand() { return std::make_unique<TrainCommand>(); }

}  // namespace simaqat
