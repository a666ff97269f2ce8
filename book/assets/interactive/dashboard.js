// A dashboard that a cell of this page has written with saebook.dashboard: its own script shows it.
saebook.parts.dashboard = async (live, name) => {
  const { element, here, load } = saebook, folder = `${here}../dashboards/${name}/`;
  const style = element("link", { rel: "stylesheet", href: `${folder}dashboard.css` });
  const styled = new Promise((done, failed) => { style.onload = done; style.onerror = failed; });
  document.head.append(style);
  await Promise.all([styled, load(`../dashboards/${name}/dashboard.js`)]);
  const box = element("div", { className: "saebook-dashboard" });
  live.append(box, element("p", { className: "caption-of" }, element("a", { href: `${folder}index.html` }, "This dashboard on a page of its own")));
  return saebookDashboard.mount(box, folder, { level: 4 });
};
