"use strict";

// From numbers to pixels, and from numbers to words. Everything that the page's scripts share hangs on this one object.
const Refractor = { draw: {} };

// A scale maps [low, high] to [from, to]; a logarithmic one maps the logarithms.
Refractor.scale = function (low, high, from, to, log) {
  const place = log ? Math.log10 : (value) => value;
  const start = place(low);
  const span = place(high) - start || 1;
  const scale = (value) => from + ((place(value) - start) / span) * (to - from);
  scale.low = low;
  scale.high = high;
  scale.log = log;
  scale.invert = (pixel) => {
    const value = start + ((pixel - from) / (to - from)) * span;
    return log ? 10 ** value : value;
  };
  return scale;
};

// The ends of an axis: those that are given, or the data's with a margin.
Refractor.extent = function (axis, values) {
  const usable = values.filter((value) => value !== null && (!axis.log || value > 0));
  let low = usable.length ? Math.min(...usable) : axis.log ? 0.1 : 0;
  let high = usable.length ? Math.max(...usable) : 1;
  if (axis.log) {
    return [low / 1.5, high * 1.5];
  }
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    [low, high] = [low - room, high + room];
  }
  const margin = (high - low) * 0.05;
  return [axis.low ?? low - margin, axis.high ?? high + margin];
};

// About `count` round values between the ends.
Refractor.ticks = function (scale, count) {
  if (scale.log) {
    return logTicks(scale, count);
  }
  const rough = (scale.high - scale.low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const ticks = [];
  for (let i = Math.ceil(scale.low / step - 1e-9); i * step <= scale.high + step * 1e-9; i += 1) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks;
};

function logTicks(scale, count) {
  const first = Math.ceil(Math.log10(scale.low) - 1e-9);
  const last = Math.floor(Math.log10(scale.high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / Math.max(1, count)));
  const ticks = [];
  for (let power = first; power <= last; power += step) {
    ticks.push(10 ** power);
  }
  return ticks.length ? ticks : [scale.low * 1.5];
}

// A number for people: few digits, a true minus sign, powers of ten where they are shorter.
Refractor.write = function (value, digits = 4) {
  if (value === null || value === undefined) {
    return "–";
  }
  const size = Math.abs(value);
  let text;
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) {
    const [head, power] = value.toExponential(digits - 1).split("e");
    const mantissa = Number(head);
    text = `${mantissa === 1 ? "" : `${mantissa} · `}10${raised(Number(power))}`;
  } else {
    text = String(Number(value.toPrecision(digits)));
  }
  return text.replace("-", "−");
};

function raised(power) {
  return [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");
}

// The signed bytes that Python wrote in base64.
Refractor.bytes = function (text) {
  return Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
};
