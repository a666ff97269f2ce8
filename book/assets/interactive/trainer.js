// Trains a sparse autoencoder: the formulas of saebook.reference, gradients as the chapter on backpropagation derives
// them, Adam in PyTorch's form. One function without anything outside it, so that its text can run in a
// worker. Arrays are row by row: x (n, d), z (n, m), W_enc (d, m), W_dec (m, d).
saebook.trainer = function trainer(pixels, d, m, batchSize = 64) {
  const count = pixels.length / d;
  // Uniform numbers in [0, 1) from a seed (mulberry32), and normal ones from two of them (Box and Muller).
  const bits = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const uniform = (seed, next = bits(seed)) => () => next() / 4294967296;
  const normal = (seed) => {
    const next = uniform(seed);
    return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  };

  // The one thing that takes time is to add up rows: out += w0 row0 + ... + w7 row7. Two numbers at a time,
  // as WebAssembly can, it takes a third of JavaScript's time; this is the whole module, instruction by
  // instruction. Its arguments are addresses, the eight weights, and the bytes of a row.
  const memory = new WebAssembly.Memory({ initial: 128 });
  const add8 = (() => {
    const bytes = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...bytes(n >>> 7)]);
    const section = (id, content) => [id, ...bytes(content.length), ...content];
    const get = (local) => [0x20, local], simd = (op, ...more) => [0xfd, ...bytes(op), ...more];
    const [i32, f64, v128, eight] = [0x7f, 0x7c, 0x7b, [0, 1, 2, 3, 4, 5, 6, 7]];
    const [out, row, weight, end, at, wide] = [0, 1, 9, 17, 18, 19];
    const here = (local) => [...get(local), ...get(at), 0x6a];
    const code = [
      2, 1, i32, 8, v128,
      ...eight.flatMap((k) => [...get(weight + k), ...simd(0x14), 0x21, wide + k]),  // each weight twice
      0x03, 0x40,  // loop
      ...here(out), ...here(out), ...simd(0, 3, 0),
      ...eight.flatMap((k) => [...here(row + k), ...simd(0, 3, 0), ...get(wide + k), ...simd(0xf2), ...simd(0xf0)]),
      ...simd(0x0b, 3, 0),
      ...get(at), 0x41, 16, 0x6a, 0x22, at, ...get(end), 0x48, 0x0d, 0, 0x0b, 0x0b,  // next 16 bytes, or done
    ];
    const takes = [i32, ...eight.map(() => i32), ...eight.map(() => f64), i32];
    const module = new WebAssembly.Module(new Uint8Array([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
      ...section(1, [1, 0x60, takes.length, ...takes, 0]), ...section(2, [1, 1, 109, 1, 109, 2, 0, 1]),
      ...section(3, [1, 0]), ...section(7, [1, 1, 102, 0, 0]), ...section(10, [1, ...bytes(code.length), ...code]),
    ]));
    return new WebAssembly.Instance(module, { m: { m: memory } }).exports.f;
  })();
  let free = 0;
  const room = (n) => {  // n numbers, where add8 can reach them
    const array = new Float64Array(memory.buffer, free, n);
    free += 8 * n;
    return array;
  };

  const own = { step: 0 };
  let settings, order, epoch;
  const sizes = { W_enc: d * m, b_enc: m, W_dec: m * d, b_dec: d };
  const [params, g, moments] = [{}, {}, {}];
  for (const name in sizes) {
    [params[name], g[name]] = [room(sizes[name]), room(sizes[name])];
    moments[name] = [room(sizes[name]), room(sizes[name])];
  }
  const [z, d_a] = [room(batchSize * m), room(batchSize * m)];
  const [d_o, x, noisy, W_decT] = [room(batchSize * d), room(batchSize * d), room(batchSize * d), room(d * m)];
  own.rho_hat = new Float64Array(m);
  const list = new Int32Array(d + 8), weight = new Float64Array(d + 8);

  // Glorot's start; ReLU codes start with the encoder as the decoder's transpose, rows of norm 1. The
  // published program's start is N(0, 1) for everything.
  own.reset = (chosen) => {
    settings = chosen;
    const next = uniform(1), bell = normal(1), limit = Math.sqrt(6 / (d + m)), bad = chosen.mistakes.includes("start");
    own.step = 0, epoch = -1;
    for (const name in sizes) {
      const draw = bad ? bell : name[0] === "W" ? () => limit * (2 * next() - 1) : () => 0;
      for (let k = 0; k < sizes[name]; k++) params[name][k] = draw();
      for (const moment of moments[name]) moment.fill(0);
    }
    if (settings.kind !== "KL") {
      normalize();
      for (let j = 0; j < m; j++) for (let c = 0; c < d; c++) params.W_enc[c * m + j] = params.W_dec[j * d + c];
    }
  };
  own.change = (chosen) => { settings = chosen; };
  own.params = () => params;

  // The rows of a step's batch: each epoch visits the samples in another order.
  own.rows = (step) => {
    const perEpoch = Math.floor(count / batchSize), e = Math.floor(step / perEpoch);
    if (e !== epoch) {
      const next = uniform(1000 + e);
      order = Int32Array.from({ length: count }, (_, i) => i), epoch = e;
      for (let i = count - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
    }
    const first = (step % perEpoch) * batchSize;
    return order.subarray(first, first + batchSize);
  };
  // Samples under Gaussian noise of deviation 0.4, clipped to [0, 1]. A step needs 50,000 normal numbers:
  // they are drawn from 65,536 made once, two with each random word.
  let drawn;
  own.noise = (clean, seed, out = new Float64Array(clean.length)) => {
    drawn ??= Float64Array.from({ length: 65536 }, normal(2));
    const next = bits(seed);
    for (let k = 0, word; k < clean.length; k++) {
      word = k % 2 ? word >>> 16 : next();
      out[k] = Math.min(1, Math.max(0, clean[k] + 0.4 * drawn[word & 65535]));
    }
    return out;
  };
  own.batch = (step) => {
    own.rows(step).forEach((row, i) => x.set(pixels.subarray(row * d, (row + 1) * d), i * d));
    const seen = settings.noise ? own.noise(x, 5000 + step, noisy) : x;
    return { seen, target: settings.mistakes.includes("target") ? seen : x };
  };

  const normalize = () => {
    for (let j = 0; j < m; j++) {
      const row = params.W_dec.subarray(j * d, (j + 1) * d);
      const norm = Math.max(Math.sqrt(row.reduce((sum, v) => sum + v * v, 0)), 2.3e-308);
      for (let c = 0; c < d; c++) row[c] /= norm;
    }
  };
  // out[at ...] += the sum of n rows of M, each `wide`, as `list` and `weight` say.
  const combine = (out, at, wide, M, n) => {
    for (; n % 8; n++) { list[n] = 0; weight[n] = 0; }
    const to = out.byteOffset + 8 * at, from = M.byteOffset, row = 8 * wide;
    for (let k = 0; k < n; k += 8)
      add8(to, from + row * list[k], from + row * list[k + 1], from + row * list[k + 2], from + row * list[k + 3],
        from + row * list[k + 4], from + row * list[k + 5], from + row * list[k + 6], from + row * list[k + 7],
        weight[k], weight[k + 1], weight[k + 2], weight[k + 3],
        weight[k + 4], weight[k + 5], weight[k + 6], weight[k + 7], row);
  };
  const gather = (values, first, stride, n) => {  // what is not 0, into list and weight
    let found = 0;
    for (let k = 0; k < n; k++) {
      const v = values[first + k * stride];
      if (v !== 0) { list[found] = k; weight[found++] = v; }
    }
    return found;
  };
  const addRows = (out, M, n) => {
    const wide = out.length;
    for (let i = 0; i < n; i++) for (let c = 0, k = i * wide; c < wide; c++, k++) out[c] += M[k];
  };
  // Adam; epsilon stands outside the root of the corrected second moment.
  const adam = (p, u, v, slope, rate, second) => {
    const inverse = 1 / second;
    for (let k = 0; k < p.length; k++) {
      const s = slope[k], a = (u[k] = 0.9 * u[k] + 0.1 * s), b = (v[k] = 0.999 * v[k] + 0.001 * s * s);
      p[k] -= (rate * a) / (Math.sqrt(b * inverse) + 1e-8);
    }
  };
  const sigmoid = (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a)));

  // The code of n samples, into z (and its pre-activation's sign where a ReLU is off).
  const encode = (seen, n, code) => {
    for (let i = 0; i < n; i++) {
      const at = i * m;
      code.set(params.b_enc, at);
      combine(code, at, m, params.W_enc, gather(seen, i * d, 1, d));
      if (settings.kind === "KL") for (let j = at; j < at + m; j++) code[j] = sigmoid(code[j]);
      else {
        if (settings.kind === "TopK") {
          const a = code.subarray(at, at + m), ranked = [...a.keys()].sort((p, q) => a[q] - a[p] || p - q);
          for (const j of ranked.slice(settings.k)) a[j] = 0;
        }
        for (let j = at; j < at + m; j++) code[j] = Math.max(0, code[j]);
      }
    }
  };
  const decode = (code, n, out) => {
    for (let i = 0; i < n; i++) {
      out.set(params.b_dec, i * d);
      combine(out, i * d, d, params.W_dec, gather(code, i * m, 1, m));
      if (settings.kind === "KL") for (let c = i * d; c < (i + 1) * d; c++) out[c] = sigmoid(out[c]);
    }
  };
  // Codes and reconstructions of any samples.
  own.rebuild = (samples) => {
    const code = new Float64Array((samples.length / d) * m), x_hat = new Float64Array(samples.length);
    for (let first = 0; first * d < samples.length; first += batchSize) {
      const some = samples.subarray(first * d, (first + batchSize) * d), n = some.length / d;
      x.set(some);
      encode(x, n, z);
      decode(z, n, d_o);
      code.set(z.subarray(0, n * m), first * m);
      x_hat.set(d_o.subarray(0, n * d), first * d);
    }
    return { code, x_hat };
  };

  // The gradient of the penalty with respect to the code, added to d_a; returns the penalty itself.
  const penalty = (n) => {
    const { kind, rho, beta, lambda, mistakes } = settings, rho_hat = own.rho_hat.fill(0);
    let total = 0;
    for (let i = 0, k = 0; i < n; i++)  // the mean code or, of a ReLU code, how often each latent is active
      for (let j = 0; j < m; j++, k++) rho_hat[j] += kind === "KL" ? z[k] / n : z[k] > 0 ? 1 / n : 0;
    if (kind === "L1")
      for (let k = 0; k < n * m; k++) { total += (lambda * z[k]) / n; d_a[k] += lambda / n; }
    for (let j = 0; kind === "KL" && j < m; j++) {
      if (mistakes.includes("sample")) {  // the published program's: for each sample, and the wrong way round
        for (let k = j; k < n * m; k += m) {
          const v = Math.min(1 - 1e-6, Math.max(1e-6, z[k]));
          total += (beta / n) * (v * Math.log(v / rho) + (1 - v) * Math.log((1 - v) / (1 - rho)));
          if (v === z[k]) d_a[k] += (beta / n) * (Math.log(v / rho) - Math.log((1 - v) / (1 - rho)));
        }
        continue;
      }
      const r = Math.min(1 - 2 ** -52, Math.max(2 ** -52, rho_hat[j]));  // clipped as in the reference
      total += beta * (rho * Math.log(rho / r) + (1 - rho) * Math.log((1 - rho) / (1 - r)));
      const slope = r === rho_hat[j] ? (beta / n) * ((1 - rho) / (1 - r) - rho / r) : 0;
      for (let k = j; k < n * m; k += m) d_a[k] += slope;
    }
    return total;
  };

  // One step: forward, backward, Adam.
  own.train = () => {
    const n = batchSize, { seen, target } = own.batch(own.step), sigmoidal = settings.kind === "KL";
    encode(seen, n, z);
    decode(z, n, d_o);
    const share = settings.mistakes.includes("mean") ? 1 / d : 1;  // the mistake: a mean over pixels, not their sum
    let error = 0;
    for (let k = 0; k < n * d; k++) {
      const x_hat = d_o[k], off = x_hat - target[k], slope = sigmoidal ? x_hat * (1 - x_hat) : 1;
      error += off * off;
      d_o[k] = ((2 * share) / n) * off * slope;
    }
    for (const name in g) g[name].fill(0);
    addRows(g.b_dec, d_o, n);
    for (let j = 0; j < m; j++) combine(g.W_dec, j * d, d, d_o, gather(z, j, m, n));
    for (let j = 0; j < m; j++) for (let c = 0; c < d; c++) W_decT[c * m + j] = params.W_dec[j * d + c];
    d_a.fill(0);
    for (let i = 0; i < n; i++) combine(d_a, i * m, m, W_decT, gather(d_o, i * d, 1, d));
    const price = penalty(n);
    for (let k = 0; k < n * m; k++) d_a[k] *= sigmoidal ? z[k] * (1 - z[k]) : z[k] > 0 ? 1 : 0;
    addRows(g.b_enc, d_a, n);
    for (let c = 0; c < d; c++) combine(g.W_enc, c * m, m, d_a, gather(seen, c, d, n));
    own.step++;
    const first = 1 - 0.9 ** own.step, second = 1 - 0.999 ** own.step;
    for (const name in params) adam(params[name], ...moments[name], g[name], settings.rate / first, second);
    if (!sigmoidal) normalize();
    return { error: (error * share) / n, price };
  };
  return own;
};
