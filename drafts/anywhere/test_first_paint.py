def test_first_paint_is_fast_over_a_phone_network(browser, site, pages, host):
    late = {}
    for page in pages:
        paints = []
        while len(paints) < 3 and min(paints, default=LATEST_PAINT) >= LATEST_PAINT:
            context = browser.new_context(viewport=PHONE)
            tab = context.new_page()
            network = context.new_cdp_session(tab)
            network.send("Network.emulateNetworkConditions", {"offline": False, **FAST_4G})
            tab.goto(host + str(page.relative_to(site)), wait_until="commit")
            paint = tab.wait_for_function(
                "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            paints.append(paint.json_value())
            context.close()
        print(f"{page.stem}: first paint after {min(paints):.0f} ms")
        if min(paints) >= LATEST_PAINT:
            late[page.stem] = paints
    assert not late
