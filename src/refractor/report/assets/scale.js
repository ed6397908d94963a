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

// About `count` round values between the ends; whole numbers where the axis counts.
Refractor.ticks = function (scale, count, whole) {
  if (scale.log) {
    return logTicks(scale, count);
  }
  const rough = Math.max(whole ? 1 : 0, (scale.high - scale.low) / Math.max(1, count));
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

// A number for people, as the text around writes it: 4 digits, 5.568e-08 where it is small, a true minus sign before it.
Refractor.write = function (value, digits = 4) {
  if (value === null || value === undefined) {
    return "–";
  }
  const [head, power] = value.toExponential(digits - 1).split("e");
  const short = value === 0 || (power >= -4 && power < Math.max(digits, 6));
  const text = short
    ? String(Number(value.toPrecision(digits)))
    : `${Number(head)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
};

// A tick of a logarithmic axis: 0.01, 10⁻⁵.
Refractor.writeTick = function (value, scale) {
  const power = Math.round(Math.log10(Math.abs(value)));
  if (!scale.log || Math.abs(power) < 4 || value !== 10 ** power) {
    return Refractor.write(value);
  }
  return `10${[...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("")}`;
};

// The signed bytes that Python wrote in base64.
Refractor.bytes = function (text) {
  return Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
};
