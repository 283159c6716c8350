"""Names of things that stand about in rooms and streets."""

_WORDS = """
armchair air conditioner airlock anvil aquarium arch backpack bakery bandstand banner barbecue barrel barrier basin basket bathtub
bead curtain bed bell bench bicycle billboard bin birdcage blackboard blanket boiler bollard bookcase bookshop boulder bowl box brazier
broom bucket buffet bulletin board bus stop bush cabinet cactus cage cake stand camera candle canoe canopy car cardboard box cart
cash desk cello chair chalkboard chest chimney clock coat rack coffee machine compost heap compressor concrete mixer cone control panel
cooker cooler cot couch counter cradle crane crate cupboard curtain cutting board dartboard deck chair desk digger dishwasher display
door doorbell drain dresser drinking fountain drum dryer dumpster easel elevator fan fence filing cabinet fire door
fire extinguisher fireplace first aid kit fish tank flag flagpole flipchart floor lamp flower pot folding table footstool forklift fountain
freezer fridge fuel pump furnace fuse box garage garden gnome gate generator glass case globe goal guitar hammock hand dryer handcart
handrail harp hat stand headboard heater hedge hose reel hospital bed hydrant ice machine incubator information desk ironing board jukebox
kayak kettle keyboard kiosk kitchen island ladder lamppost lantern laptop laundry basket lawnmower lectern letterbox light switch
locker loom loudspeaker magazine rack mailbox mannequin map stand mattress meter microphone microscope microwave milestone mirror
mixing desk monitor motorbike music stand newspaper stand nightstand notice board oak tree office chair ottoman oven pallet palm
parasol parcel parking meter pedestal phone booth piano picnic table pillar ping pong table pinboard pine tree planter plinth podium pond
pool table popcorn machine postbox poster pram pressure gauge printer projector prop pump punching bag radiator railing recycling bin
road sign rocking chair roller door rowing machine rug safe sandbox saw bench scaffold scale scanner scooter screen sculpture
server rack sewing machine shed shelf shoe rack shopping cart showcase shower sideboard sign silo sink skateboard skeleton ski rack skip slide
snack bar snowman soap dispenser sofa solar panel spiral staircase spotlight stage statue steel drum stepladder stool stove street lamp
suitcase sun lounger sundial swing switchboard table tablet stand tank taxi sign telescope television tent thermostat ticket machine toaster
toilet tombstone tool chest torch totem towel rail tower tractor traffic light trailer trampoline trash can treadmill tripod trolley trophy
trunk turnstile tv stand typewriter umbrella stand urn vacuum cleaner valve van vase vending machine violin wagon waiting bench wardrobe
washbasin washing machine watchtower water butt water cooler weather vane weighing machine welcome mat well wheelbarrow wheelchair
whiteboard wind chime windmill window wine rack woodpile workbench wreath x-ray machine yucca zebra crossing sign
"""

_PAIRS = {
    'air': 1, 'bead': 1, 'bulletin': 1, 'bus': 1, 'cake': 1, 'cardboard': 1, 'cash': 1, 'coat': 1, 'coffee': 1, 'compost': 1,
    'concrete': 1, 'control': 1, 'cutting': 1, 'deck': 1, 'drinking': 1, 'filing': 1, 'fire': 1, 'first': 2, 'fish': 1,
    'flower': 1, 'floor': 1, 'folding': 1, 'fuel': 1, 'fuse': 1, 'garden': 1, 'glass': 1, 'hand': 1, 'hat': 1, 'hose': 1, 'hospital': 1,
    'ice': 1, 'information': 1, 'ironing': 1, 'kitchen': 1, 'laundry': 1, 'light': 1, 'magazine': 1, 'map': 1, 'mixing': 1,
    'music': 1, 'newspaper': 1, 'notice': 1, 'oak': 1, 'office': 1, 'parking': 1, 'phone': 1, 'picnic': 1, 'pine': 1, 'ping': 2,
    'pool': 1, 'popcorn': 1, 'pressure': 1, 'punching': 1, 'recycling': 1, 'road': 1, 'rocking': 1, 'roller': 1, 'rowing': 1,
    'saw': 1, 'server': 1, 'sewing': 1, 'shoe': 1, 'shopping': 1, 'ski': 1, 'snack': 1, 'soap': 1, 'solar': 1, 'spiral': 1,
    'steel': 1, 'street': 1, 'sun': 1, 'tablet': 1, 'taxi': 1, 'ticket': 1, 'tool': 1, 'towel': 1, 'traffic': 1, 'trash': 1,
    'tv': 1, 'umbrella': 1, 'vacuum': 1, 'vending': 1, 'waiting': 1, 'washing': 1, 'water': 1, 'weather': 1, 'weighing': 1,
    'welcome': 1, 'wind': 1, 'wine': 1, 'x-ray': 1, 'zebra': 2,
}


def _read() -> tuple[str, ...]:
    words, nouns = _WORDS.split(), []
    while words:
        count = 1 + _PAIRS.get(words[0], 0)
        nouns.append(' '.join(words[:count]))
        words = words[count:]
    return tuple(dict.fromkeys(nouns))


NOUNS = _read()
