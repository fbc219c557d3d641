if (data.live) recall();
update();
show();
if (data.live) setTimeout(ask, PERIOD);
document.documentElement.dataset.ready = Math.round(performance.now());
